package test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// tusJob is the input of test/tusjs/upload.js.
type tusJob struct {
	Endpoint   string `json:"endpoint"`
	File       string `json:"file"`
	ChunkSize  int64  `json:"chunkSize,omitempty"`
	Parallel   int    `json:"parallel,omitempty"`
	Deferred   bool   `json:"deferred,omitempty"`
	Protocol   string `json:"protocol,omitempty"`
	WithData   bool   `json:"withData,omitempty"`
	Store      string `json:"store,omitempty"`
	AbortAfter int64  `json:"abortAfter,omitempty"`
	DieAfter   int64  `json:"dieAfter,omitempty"`
}

// tusResult is its output.
type tusResult struct {
	URL         string
	FirstOffset int64
	Aborted     bool
	Retries     int
}

// installTusJS installs the client with the versions of its lock file, once.
var installTusJS = sync.OnceValue(func() error { return installNode("tusjs") })

// tusJS runs the client. Its process may only fail if it was asked to die.
func tusJS(t *testing.T, job tusJob) tusResult {
	t.Helper()
	if err := installTusJS(); err != nil {
		t.Fatalf("install tus-js-client: %v", err)
	}
	arg, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "node", "upload.js", string(arg))
	cmd.Dir, cmd.Stderr = "tusjs", &stderr
	out, err := cmd.Output()
	if job.DieAfter > 0 {
		if err == nil || len(out) > 0 {
			t.Fatalf("the client did not die: %s", out)
		}
		return tusResult{}
	}
	var result tusResult
	if err == nil {
		err = json.Unmarshal(out, &result)
	}
	if err != nil {
		t.Fatalf("tus-js-client: %v\n%s%s", err, out, stderr.Bytes())
	}
	return result
}

// file writes content to the disk, for clients that read files.
func file(t *testing.T, content Content) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "video.mp4")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, content.Part(content.All())); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTusJSUploadsAFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(40, 20*mib)
	path := file(t, content)
	for name, job := range map[string]tusJob{
		"in one PATCH":       {},
		"in many":            {ChunkSize: 3 * mib},
		"of unknown length":  {Deferred: true, ChunkSize: 3*mib + 1},
		"in parallel pieces": {Parallel: 4},
		"in parallel chunks": {Parallel: 3, ChunkSize: mib},
	} {
		t.Run(name, func(t *testing.T) {
			job.Endpoint, job.File = s.URL(""), path
			result := tusJS(t, job)
			if result.Retries > 0 {
				t.Errorf("%d requests were made again without need", result.Retries)
			}
			wantFile(t, result.URL, content)
			wantOneEvent(t, s, idOf(result.URL), "finished")
		})
	}
}

func TestTusJSGoesOnInANewProcess(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(41, 32*mib)
	path := file(t, content)
	tests := map[string]struct {
		first      tusJob
		thenChunks int64
		killServer bool
		least      int64 // the offset to go on from, 0 for 5 MiB
	}{
		"after an abort":                {first: tusJob{AbortAfter: 10 * mib}},
		"after an abort between chunks": {first: tusJob{AbortAfter: 6 * mib, ChunkSize: 2 * mib}, thenChunks: 2 * mib},
		"after a death":                 {first: tusJob{DieAfter: 10 * mib}},
		"after a death between chunks":  {first: tusJob{DieAfter: 6 * mib, ChunkSize: 2 * mib}, thenChunks: 2 * mib},
		"after both ends died":          {first: tusJob{DieAfter: 6 * mib, ChunkSize: 2 * mib}, killServer: true, least: 4 * mib}, // what was acknowledged
		"with chunks of another size":   {first: tusJob{AbortAfter: 6 * mib, ChunkSize: 2 * mib}, thenChunks: 5*mib + 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			proxy := proxied(t, s, onlyFirst(Cut{After: 7 * mib, Swallow: true}))
			tt.first.Endpoint, tt.first.File = "http://"+proxy.Addr+"/files/", path
			tt.first.Store = filepath.Join(t.TempDir(), "urls.json")
			if result := tusJS(t, tt.first); tt.first.AbortAfter > 0 && !result.Aborted {
				t.Fatal("the client did not abort")
			}
			if tt.killServer {
				restart(t, s)
			}
			then := tt.first
			then.AbortAfter, then.DieAfter, then.ChunkSize = 0, 0, tt.thenChunks
			result := tusJS(t, then)
			if result.FirstOffset < cmp.Or(tt.least, 5*mib) || result.FirstOffset > 7*mib {
				t.Errorf("the client went on from %d; 7 MiB had reached the server", result.FirstOffset)
			}
			wantFile(t, s.URL(idOf(result.URL)), content)
		})
	}
}

// onlyFirst cuts the first connection and no other.
func onlyFirst(cut Cut) func() Cut {
	var used atomic.Bool
	return func() Cut {
		if used.Swap(true) {
			return Never
		}
		return cut
	}
}

func TestTusJSGetsThroughCutConnections(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(42, 24*mib)
	path := file(t, content)
	for name, job := range map[string]tusJob{
		"in one PATCH":       {},
		"in chunks":          {ChunkSize: 4 * mib},
		"in parallel pieces": {Parallel: 3},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := proxied(t, s, frequentCuts(rand.New(rand.NewPCG(42, uint64(len(name))))))
			job.Endpoint, job.File = "http://"+proxy.Addr+"/files/", path
			result := tusJS(t, job)
			if proxy.Cuts() == 0 || result.Retries == 0 {
				t.Errorf("%d cuts, %d retries: nothing was shown", proxy.Cuts(), result.Retries)
			}
			wantFile(t, s.URL(idOf(result.URL)), content)
		})
	}
}

// frequentCuts lets no connection live for more than a few mebibytes, and breaks
// one in five while the server answers.
func frequentCuts(random *rand.Rand) func() Cut {
	var mu sync.Mutex
	return func() Cut {
		mu.Lock()
		defer mu.Unlock()
		reset := random.IntN(2) == 0
		if random.IntN(5) == 0 {
			return Cut{After: random.Int64N(600), Answer: true, Reset: reset}
		}
		return Cut{After: 1000 + random.Int64N(6*mib), Reset: reset}
	}
}
