package test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// limit sets a resource limit of the running server, and returns what lifts it.
func limit(t *testing.T, s *Server, resource int, value uint64) (lift func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Prlimit(s.Pid(), resource, nil, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(s.Pid(), resource, &unix.Rlimit{Cur: value, Max: old.Max}, nil); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := unix.Prlimit(s.Pid(), resource, &old, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// A file that is too large for the file system, such as one of 5 GB for FAT, is refused for
// good, without a loss of what was stored.
func TestAFileThatTheFileSystemCannotHoldIsTooLarge(t *testing.T) {
	t.Parallel()
	limitedDisk(t)
}

// limitedDisk limits the size of files.
func limitedDisk(t *testing.T) {
	t.Helper()
	s := start(t)
	content := NewContent(507, 8*mib)
	c := newClient(s, "full", content)
	put(t, c, ranges.Of(0, mib), http.StatusAccepted)
	lift := limit(t, s, unix.RLIMIT_FSIZE, 3*mib) // files cannot grow beyond it
	checkFull(t, c, lift, http.StatusRequestEntityTooLarge)
}

// checkFull sends an upload of 8 MiB, of which the first is there, to a server
// whose disk has no room for it until lift is called.
func checkFull(t *testing.T, c *Client, lift func(), full ...int) {
	t.Helper()
	refused := put(t, c, ranges.Of(mib, 7*mib), full...)
	if strings.Contains(string(refused.Body), ".holdfast") {
		t.Errorf("the answer reveals a path: %s", refused.Body)
	}
	have := received(t, c.URL)
	if !have.Contains(ranges.Of(0, mib)) || have.Contains(c.Content.All()) {
		t.Errorf("received %v", have)
	}
	if _, offset := head(t, c.URL, http.StatusOK); offset != have.Prefix() {
		t.Errorf("tus gets offset %d, the other protocol of %v", offset, have)
	}
	a, err := Do(http.DefaultClient, patchRequest(t.Context(), c.URL, c.Content, ranges.Range{Start: have.Prefix(), End: c.Content.Size}))
	if err != nil {
		t.Fatal(err)
	}
	demand(t, a, full...)
	lift()
	for _, r := range c.Content.Chunks(mib) {
		put(t, c, r, http.StatusAccepted, http.StatusCreated)
	}
	wantFile(t, c.URL, c.Content)
}

// Where the machine allows it, the disk is a file system of its own that really
// is full; where not, a limit has to do.
func TestAFullFileSystemLosesNothing(t *testing.T) {
	t.Parallel()
	mount := []string{"unshare", "--mount", "--map-root-user", "sh", "-c",
		`mount -t tmpfs -o size=12m tmpfs "$0" && exec "$@"`}
	dir := t.TempDir()
	if out, err := exec.Command(mount[0], append(mount[1:], dir, "true")...).CombinedOutput(); err != nil {
		t.Logf("this machine allows no file system of its own: %v %s", err, out)
		limitedDisk(t)
		return
	}
	s := &Server{Bin: holdfast, Data: filepath.Join(dir, "data"), Wrap: append(mount, dir)}
	run(t, s)
	ballast := newClient(s, "ballast", NewContent(1, 8*mib))
	put(t, ballast, ballast.Content.All(), http.StatusCreated)
	content := NewContent(507, 8*mib)
	c := newClient(s, "full", content)
	put(t, c, ranges.Of(0, mib), http.StatusAccepted)
	lift := func() { ask(t, http.MethodDelete, ballast.URL, nil, nil, http.StatusNoContent) }
	checkFull(t, c, lift, http.StatusInsufficientStorage, http.StatusServiceUnavailable)
}

func TestF10WithoutFileDescriptorsNoAnswerSaysThatTheUploadIsLost(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newClient(s, "emfile", small)
	for _, r := range smallChunk[:9] {
		put(t, c, r, http.StatusAccepted)
	}
	restart(t, s) // so that the state has to be read from the disk
	// The limit also keeps the server from accepting connections: one is kept open.
	c.HTTP = &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	if resp, err := c.HTTP.Get("http://" + s.Addr + "/healthz"); err != nil {
		t.Fatal(err)
	} else if _, err := ReadAnswer(resp); err != nil {
		t.Fatal(err)
	}
	lift := limit(t, s, unix.RLIMIT_NOFILE, 3)
	for _, tt := range []struct {
		req  *http.Request
		want int
	}{
		{request(t, http.MethodHead, c.URL, nil, tusVersion), http.StatusLocked},
		{request(t, http.MethodHead, c.URL, nil), http.StatusServiceUnavailable},
		{request(t, http.MethodGet, c.URL, nil), http.StatusServiceUnavailable},
		{request(t, http.MethodPut, c.URL, strings.NewReader("x"), "Content-Range: bytes 900-900/1000"), http.StatusServiceUnavailable},
		{patchRequest(t.Context(), c.URL, small, ranges.Of(900, 100)), http.StatusServiceUnavailable},
	} {
		answer, err := Do(c.HTTP, tt.req)
		if err != nil {
			t.Fatalf("%s: %v", tt.req.Method, err)
		}
		if reads := tt.req.Method == http.MethodHead || tt.req.Method == http.MethodGet; reads && answer.Status == http.StatusOK {
			continue // the sweep at the start had read it before
		}
		if answer.Status != tt.want || answer.Header.Get("Retry-After") == "" {
			t.Errorf("%s: status %d, Retry-After %q; want %d with one", tt.req.Method, answer.Status, answer.Header.Get("Retry-After"), tt.want)
		}
	}
	lift()
	if _, offset := head(t, c.URL, http.StatusOK); offset != 900 {
		t.Errorf("the offset is %d, it was 900", offset)
	}
	put(t, c, smallChunk[9], http.StatusCreated)
	wantFile(t, c.URL, small)
}

func TestAStartWithoutADataDirectoryIsRefusedWithItsName(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Server{Bin: holdfast, Data: filepath.Join(file, "data")}
	if err := s.Start(); err == nil {
		s.Kill()
		t.Fatal("it started")
	}
	if !strings.Contains(s.Log(), "a file") {
		t.Errorf("the message does not name the directory: %s", s.Log())
	}
}
