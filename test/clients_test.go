package test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// browserLibrary is a library of test/uploaders/package.json.
type browserLibrary struct {
	name    string // the section of docs/clients.md
	scripts []string
	// replace makes the recipe of another section one for this library.
	recipe  string
	replace *strings.Replacer
}

var browserLibraries = []browserLibrary{
	{name: "Dropzone", scripts: []string{"dropzone/dist/dropzone-min.js"}},
	{name: "Flow.js", scripts: []string{"@flowjs/flow.js/dist/flow.js"}},
	{name: "simple-uploader.js", scripts: []string{"simple-uploader.js/dist/uploader.js"}, recipe: "Flow.js", replace: strings.NewReplacer("new Flow(", "new Uploader(")},
	{name: "Resumable.js", scripts: []string{"resumablejs/resumable.js"}},
	{name: "Plupload", scripts: []string{"plupload/js/plupload.full.min.js"}},
	{name: "Fine Uploader", scripts: []string{"fine-uploader/fine-uploader/fine-uploader.core.js"}},
	{name: "FilePond", scripts: []string{"filepond/dist/filepond.js"}},
	{name: "blueimp jQuery File Upload", scripts: []string{"jquery/dist/jquery.js", "blueimp-file-upload/js/vendor/jquery.ui.widget.js", "blueimp-file-upload/js/jquery.fileupload.js"}},
	{name: "UpChunk", scripts: []string{"@mux/upchunk/dist/upchunk.js"}},
}

const (
	browserChunk    = 256 * kib
	browserFileName = `Ferien (1) "é" 100%.mp4`
)

// browserRun is a job with what it is to show.
type browserRun struct {
	*browserJob
	name  string
	check func(t *testing.T, result browserResult)
}

// Every recipe of docs/clients.md works as it stands there, but for the address of the
// server and the length of chunks: through a 503, a broken connection, and with the answer to
// the last chunk lost; with file names that must be encoded; and after the page was reloaded.
// What the libraries send by default is refused, and the message names the recipe.
// tus-js-client works in tus and in both versions of the IETF draft that it has.
func TestUploadLibrariesOfBrowsersWorkByTheirRecipes(t *testing.T) {
	t.Parallel()
	if err := installNode("uploaders"); err != nil {
		t.Fatal(err)
	}
	s, empty := start(t), start(t)
	runs := slices.Concat(recipeRuns(t, s), reloadRuns(t, s), tusRuns(t, s), defaultRuns(t, empty))
	var jobs []*browserJob
	for _, run := range runs {
		jobs = append(jobs, run.browserJob)
	}
	startJobs(t, jobs)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, run := range runs {
		t.Run(run.name, func(t *testing.T) {
			result, err := run.wait(ctx)
			if err != nil {
				t.Fatal(err)
			}
			run.check(t, result)
		})
	}
	wantNothingStored(t, empty)
}

// recipeRuns has each library with each fault.
func recipeRuns(t *testing.T, s *Server) (runs []browserRun) {
	for i, library := range browserLibraries {
		for _, fault := range []Fault{Refused, CutBody, LostLast} {
			proxy := NewFaultProxy(s.Addr, fault)
			t.Cleanup(proxy.Close)
			size := int64(4*browserChunk + i%2*1001) // an exact multiple, and not
			run := recipeRun(t, library, proxy.URL, NewContent(uint64(len(runs)), size))
			run.name = library.name + ", " + string(fault)
			run.check = func(t *testing.T, result browserResult) {
				if proxy.Fired.Load() == 0 {
					t.Error("nothing failed")
				}
				wantUploaded(t, s, run.browserJob, result)
			}
			runs = append(runs, run)
		}
	}
	return runs
}

// recipeRun returns a job with the code of the recipe of a library.
func recipeRun(t *testing.T, library browserLibrary, endpoint string, content Content) browserRun {
	t.Helper()
	recipe := recipeCode(t, "What all have")
	if library.recipe == "" {
		recipe += recipeCode(t, library.name)
	} else {
		recipe += library.replace.Replace(recipeCode(t, library.recipe))
	}
	const address, chunk = "https://up.example.com/", "8 * 1024 * 1024"
	for _, text := range []string{address, chunk} {
		if !strings.Contains(recipe, text) {
			t.Fatalf("the recipe has no %q", text)
		}
	}
	recipe = strings.NewReplacer(address, endpoint+"/", chunk, fmt.Sprint(browserChunk)).Replace(recipe)
	return browserRun{browserJob: &browserJob{
		Library: library.scripts, Starts: "recipes.js", Start: cmp.Or(library.recipe, library.name),
		FileName: browserFileName, content: content, recipe: recipe,
	}}
}

// recipeCode returns the code of a section of docs/clients.md.
func recipeCode(t *testing.T, section string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := bytes.Cut(text, []byte("\n## "+section+"\n"))
	text, _, _ = bytes.Cut(text, []byte("\n## "))
	code := regexp.MustCompile("(?s)```js\n(.*?)```").FindSubmatch(text)
	if !ok || code == nil {
		t.Fatalf("docs/clients.md has no code in a section %q", section)
	}
	return string(code[1])
}

// wantUploaded demands that the library has reported a success, and that its file is stored
// with its name.
func wantUploaded(t *testing.T, s *Server, job *browserJob, result browserResult) {
	t.Helper()
	if result.Error != "" {
		t.Fatal(result.Error)
	}
	url := s.URL(idOf(result.URL))
	wantFile(t, url, job.content)
	h := ask(t, http.MethodHead, url, nil, nil, http.StatusOK).Header
	if _, params, err := mime.ParseMediaType(h.Get("Content-Disposition")); err != nil || params["filename"] != job.FileName {
		t.Errorf("the name is in %q, want %q", h.Get("Content-Disposition"), job.FileName)
	}
}

// reloadRuns has the libraries that go on after the page was reloaded.
func reloadRuns(t *testing.T, s *Server) (runs []browserRun) {
	for i, library := range browserLibraries {
		if slices.Contains([]string{"Dropzone", "Plupload", "FilePond", "UpChunk"}, library.name) {
			continue // after a reload it begins again, or knows nothing of the upload
		}
		proxy, sent := stallingProxy(t, s, 4)
		run := recipeRun(t, library, proxy, NewContent(uint64(200+i), 9*browserChunk))
		run.ReloadAfter = 4 * browserChunk
		run.name = library.name + ", reloaded"
		run.check = func(t *testing.T, result browserResult) {
			wantUploaded(t, s, run.browserJob, result)
			if n := sent.Load(); n < 9 || n > 4+3+5 {
				t.Errorf("%d chunks were sent: 4 before the page was reloaded, 3 that this broke, and 5 that were missing make 12", n)
			}
		}
		runs = append(runs, run)
	}
	return runs
}

// stallingProxy passes on chunks chunks, and no more until one that follows is given up: by its
// client, or after a while, in case the page was reloaded before any followed. It returns its
// URL, and counts chunks.
func stallingProxy(t *testing.T, s *Server, chunks int64) (string, *atomic.Int64) {
	t.Helper()
	var sent atomic.Int64
	var resumed atomic.Bool
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.Addr})
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if carriesFile(r) && sent.Add(1) > chunks && !resumed.Load() {
			_, _ = io.Copy(io.Discard, r.Body) // only then the end of the connection is noticed
			select {
			case <-r.Context().Done():
			case <-time.After(20 * time.Second):
			}
			resumed.Store(true)
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL, &sent
}

// tusRuns has tus-js-client in its protocols, through broken connections.
func tusRuns(t *testing.T, s *Server) (runs []browserRun) {
	for i, protocol := range append([]string{"tus-v1"}, ietfProtocols...) {
		proxy := proxied(t, s, func() Cut { return Cut{After: 1300_000, Reset: i == 0} }) // within the third chunk
		job := &browserJob{
			Library: []string{"tus-js-client/dist/tus.js"}, Starts: "tus.js", Start: "tus-js-client", Protocol: protocol,
			Endpoint: "http://" + proxy.Addr + "/files/", FileName: "video.mp4", content: NewContent(uint64(300+i), 4*mib),
		}
		runs = append(runs, browserRun{job, "tus-js-client, " + protocol, func(t *testing.T, result browserResult) {
			if result.Error != "" {
				t.Fatal(result.Error)
			}
			if proxy.Cuts() == 0 {
				t.Error("nothing was cut")
			}
			wantFile(t, s.URL(idOf(result.URL)), job.content)
		}})
	}
	return runs
}

// defaultRuns has the libraries as they are by default.
func defaultRuns(t *testing.T, s *Server) (runs []browserRun) {
	for i, library := range browserLibraries {
		if library.name == "UpChunk" {
			continue // it works
		}
		id := fmt.Sprintf("by-default-%d", i)
		job := &browserJob{
			Library: library.scripts, Starts: "defaults.js", Start: library.name, Endpoint: s.URL(id),
			FileName: "video.mp4", content: NewContent(uint64(400+i), 3*mib),
		}
		runs = append(runs, browserRun{job, library.name + " by default", func(t *testing.T, result browserResult) {
			if !strings.Contains(result.Error, "docs/clients.md, section "+library.name) {
				t.Errorf("the library reports %+v", result)
			}
			if n := strings.Count(s.Log(), fmt.Sprintf(`"path":"/files/%s"`, id)); n == 0 || n > 20 {
				t.Errorf("%d requests: the library does not give up", n)
			}
		}})
	}
	job := &browserJob{
		Library: []string{}, Starts: "defaults.js", Start: "a form", Endpoint: s.URL(""),
		FileName: "video.mp4", content: NewContent(420, 16*mib),
	}
	return append(runs, browserRun{job, "a form of a page", func(t *testing.T, result browserResult) {
		if !strings.Contains(result.Error, "docs/clients.md") {
			t.Errorf("the page reads %+v", result)
		}
	}})
}

// wantNothingStored demands that a server has no upload, not even of no bytes.
func wantNothingStored(t *testing.T, s *Server) {
	t.Helper()
	err := filepath.WalkDir(s.Data, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != "lock" {
			t.Errorf("%s is stored", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
