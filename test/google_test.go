package test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// allLibraries has the tests with Google's and Microsoft's libraries use all of them, and
// not only those that are installed quickly.
var allLibraries = flag.Bool("libraries", false, "test with all upload libraries (make libraries)")

// libraryJob is one file that a library uploads.
type libraryJob struct {
	Case     string `json:"case"`
	Library  string `json:"library"`
	Endpoint string `json:"endpoint"`
	Bucket   string `json:"bucket"`
	Name     string `json:"name"`
	File     string `json:"file"`
	Kind     string `json:"kind"`  // "simple": in one request; "known size", "unknown size"
	Chunk    int64  `json:"chunk"` // bytes of a chunk, 0 for the library's default

	content Content
	proxy   *FaultProxy
}

// libraryResult is what became of it.
type libraryResult struct {
	Case, Error string
	Size        int64
	Downloaded  *int64
	Location    string
}

// libraryCase is a way of uploading a file.
type libraryCase struct {
	name, kind  string
	size, chunk int64
	fault       Fault
}

// libraryChunk is the length of chunks, of which Google's libraries want multiples.
const libraryChunk = 256 * kib

var libraryCases = []libraryCase{
	{"in one request", "simple", 300_001, 0, NoFault},
	{"in one request, empty", "simple", 0, 0, NoFault},
	{"in one request, large", "simple", 2*mib + 5, 0, NoFault},
	{"in one chunk", "known size", 700_001, 0, NoFault},
	{"in chunks", "known size", 3*libraryChunk + 1001, libraryChunk, NoFault},
	{"in chunks, an exact multiple", "known size", 3 * libraryChunk, libraryChunk, NoFault},
	{"in chunks, empty", "known size", 0, libraryChunk, NoFault},
	{"of unknown size", "unknown size", 3*libraryChunk + 1002, libraryChunk, NoFault},
	{"of unknown size, an exact multiple", "unknown size", 3 * libraryChunk, libraryChunk, NoFault},
	{"of unknown size, empty", "unknown size", 0, libraryChunk, NoFault},
	{"with a 503", "known size", 4*libraryChunk + 1003, libraryChunk, Refused},
	{"with a cut body", "known size", 4*libraryChunk + 1004, libraryChunk, CutBody},
	{"with a lost answer", "known size", 4*libraryChunk + 1005, libraryChunk, LostAnswer},
	{"with the last answer lost", "known size", 4*libraryChunk + 1006, libraryChunk, LostLast},
	{"of unknown size, with a cut body", "unknown size", 4*libraryChunk + 1007, libraryChunk, CutBody},
	{"of unknown size, with the last answer lost", "unknown size", 4*libraryChunk + 1008, libraryChunk, LostLast},
}

// libraryJobs returns the cases as jobs of a library against a server, each through a proxy
// of its own. Files that are sent in chunks, and chunks, are larger by a factor.
func libraryJobs(t *testing.T, s *Server, library string, factor int64) []*libraryJob {
	t.Helper()
	var jobs []*libraryJob
	for i, c := range libraryCases {
		if c.chunk > 0 {
			c.size, c.chunk = c.size*factor, c.chunk*factor
		}
		proxy := NewFaultProxy(s.Addr, c.fault)
		t.Cleanup(proxy.Close)
		content := NewContent(uint64(100+i), c.size)
		jobs = append(jobs, &libraryJob{
			Case: c.name, Library: library, Endpoint: proxy.URL, Bucket: "videos", Name: fmt.Sprintf("holiday %d/%s.mp4", i, library),
			File: file(t, content), Kind: c.kind, Chunk: c.chunk, content: content, proxy: proxy,
		})
	}
	return jobs
}

// runLibrary runs a program with jobs, and returns its results by case.
func runLibrary(t *testing.T, jobs []*libraryJob, program ...string) map[string]libraryResult {
	t.Helper()
	arg, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program[0], append(program[1:], string(arg))...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", program, err, out, stderr.Bytes())
	}
	results := map[string]libraryResult{}
	for line := range bytes.Lines(out) {
		var result libraryResult
		if err := json.Unmarshal(line, &result); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
		results[result.Case] = result
	}
	return results
}

// program returns the command that runs a script of the libraries, once what it needs is
// installed.
func program(t *testing.T, script string) []string {
	t.Helper()
	dir, name := filepath.Split(filepath.Join("libraries", script))
	var err error
	var run []string
	switch filepath.Ext(name) {
	case ".js":
		err, run = installNodeLibraries(), []string{"node", filepath.Join(dir, name)}
	case "": // a Go module of its own
		run = []string{filepath.Join(t.TempDir(), name)}
		err = exec.Command("go", "build", "-C", filepath.Join(dir, name), "-o", run[0], ".").Run()
	case ".py":
		err, run = installPython(), []string{filepath.Join(python, "bin", "python"), filepath.Join(dir, name)}
	}
	if err != nil {
		t.Fatalf("install what %s needs: %v", script, err)
	}
	return run
}

var installNodeLibraries = sync.OnceValue(func() error { return installNode("libraries/node") })

// python is the virtual environment of Python's libraries.
const python = "libraries/python/.venv"

var installPython = sync.OnceValue(func() error {
	list := "requirements.txt"
	if *allLibraries {
		list = "all.txt"
	}
	install := []string{filepath.Join(python, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", filepath.Join("libraries/python", list)}
	return installOnce(filepath.Join("libraries/python", list), filepath.Join(python, ".installed"),
		[]string{"python3", "-m", "venv", python}, install)
})

// googleLibrary is a library that is tested, over the stores.
type googleLibrary struct {
	name, script string
	factor       int64 // see libraryJobs
	stores       []string
}

func googleLibraries() []googleLibrary {
	const python = "python/google_upload.py"
	disk, s3, both := []string{"disk"}, []string{"S3"}, []string{"disk", "S3"}
	if *allLibraries {
		disk, s3 = both, both
	}
	libraries := []googleLibrary{
		{"@google-cloud/storage", "node/google.js", 1, both},
		{"google-resumable-media", python, 1, disk},
		{"google-cloud-storage", python, 12, s3}, // it sends up to 8 MiB in one request
	}
	if *allLibraries {
		libraries = append(libraries, googleLibrary{"google-api-python-client", python, 1, both}, googleLibrary{"cloud.google.com/go/storage", "gostorage", 1, both})
	}
	return libraries
}

// The libraries verify the checksum that the server names, all but google-api-python-client
// and cloud.google.com/go/storage, which give it.
func TestGooglesLibrariesUploadWhateverGoesWrong(t *testing.T) {
	t.Parallel()
	servers := map[string]*Server{"disk": {Bin: holdfast, Data: filepath.Join(t.TempDir(), "data")}, "S3": onS3(t, nil)}
	for _, s := range servers {
		run(t, s)
	}
	for _, library := range googleLibraries() {
		for _, store := range library.stores {
			t.Run(library.name+" on "+store, func(t *testing.T) {
				t.Parallel()
				jobs := libraryJobs(t, servers[store], library.name, library.factor)
				results := runLibrary(t, jobs, program(t, library.script)...)
				for _, job := range jobs {
					t.Run(job.Case, func(t *testing.T) { job.check(t, servers[store], results[job.Case]) })
				}
			})
		}
	}
}

// check checks that a file has arrived.
func (j *libraryJob) check(t *testing.T, s *Server, result libraryResult) {
	if result.Error != "" || result.Case != j.Case {
		t.Fatalf("the library failed: %s", result.Error)
	}
	if result.Size != j.content.Size || result.Downloaded != nil && *result.Downloaded != j.content.Size {
		t.Errorf("the library was given an object of %d bytes, want %d", result.Size, j.content.Size)
	}
	if j.proxy.Fault != NoFault && j.proxy.Fired.Load() == 0 {
		t.Error("nothing went wrong, so nothing was shown")
	}
	object := "http://" + s.Addr + "/storage/v1/b/" + j.Bucket + "/o/" + url.PathEscape(j.Name)
	wantFile(t, object+"?alt=media", j.content)
	found := getObject(t, object)
	if found.ContentType != "video/mp4" || found.Name != j.Name || found.Bucket != j.Bucket {
		t.Errorf("the object is %+v", found)
	}
	wantFile(t, s.URL(found.ETag), j.content)
	wantOneEvent(t, s, found.ETag, "finished")
}

// googleObject is what the tests read of an object in Google's API.
type googleObject struct {
	Name, Bucket, ContentType, Size, CRC32C, Generation string
	ETag                                                string // the id of the upload
	Metadata                                            map[string]string
}

func getObject(t *testing.T, url string) (found googleObject) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d, %v", url, resp.StatusCode, err)
	}
	return found
}

// The examples of the guide upload a file, but for the address of the server.
func TestTheGoogleGuideUploadsWithTheLibraries(t *testing.T) {
	t.Parallel()
	s := start(t)
	guide, err := os.ReadFile("../docs/google.md")
	if err != nil {
		t.Fatal(err)
	}
	content := NewContent(60, mib+1)
	dir := filepath.Dir(file(t, content))
	if err := os.Rename(filepath.Join(dir, "video.mp4"), filepath.Join(dir, "holiday.mp4")); err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Abs("libraries/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	for language, script := range map[string]string{"js": "node/google.js", "py": "python/google_upload.py"} {
		example := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(guide)
		if example == nil || !bytes.Contains(example[1], []byte("http://localhost:8080")) {
			t.Fatalf("the guide has no example in %s", language)
		}
		path := filepath.Join(dir, "example."+language)
		if err := os.WriteFile(path, bytes.ReplaceAll(example[1], []byte("http://localhost:8080"), []byte("http://"+s.Addr)), 0o600); err != nil {
			t.Fatal(err)
		}
		run, err := filepath.Abs(program(t, script)[0])
		if language == "js" {
			run, err = "node", nil
		}
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), run, path)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "NODE_PATH="+modules)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), fmt.Sprint(content.Size)) {
			t.Errorf("%s: %v\n%s", language, err, out)
		}
		object := googleURL(s, "holiday.mp4", "alt=media")
		wantFile(t, object, content)
		rawAnswer(t, http.MethodDelete, object, "", nil, http.StatusNoContent)
	}
}
