package test

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// holdfast is the binary under test.
var holdfast string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "holdfast-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := seeSources(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	holdfast = filepath.Join(dir, "holdfast")
	args := []string{"build", "-o", holdfast}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "github.com/holdfast-upload/holdfast/cmd/holdfast")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// seeSources looks at every source file of the module, so that go test, which
// remembers what a test has looked at, takes no old result for that of a changed
// server.
func seeSources() error {
	return filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git"):
			return fs.SkipDir
		case slices.Contains([]string{".go", ".mod", ".js", ".css", ".html"}, filepath.Ext(path)):
			_, err = os.Stat(path)
		}
		return err
	})
}

// start runs a server over a data directory of its own until the test ends, and
// fails the test if the server panics or races meanwhile.
func start(t *testing.T, args ...string) *Server {
	t.Helper()
	s := &Server{Bin: holdfast, Data: filepath.Join(t.TempDir(), "data"), Args: args}
	run(t, s)
	return s
}

func run(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Kill()
		if crash := s.Crash(); crash != "" {
			t.Errorf("the server crashed or raced:\n%s", crash)
		}
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", tail(s.Log(), 4000))
		}
	})
}

// restart kills the server and starts it again on the same port and directory.
func restart(t *testing.T, s *Server) {
	t.Helper()
	s.Kill()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
}

// proxied puts a proxy before the server until the test ends.
func proxied(t *testing.T, s *Server, cut func() Cut) *Proxy {
	t.Helper()
	p, err := NewProxy(s.Addr, cut)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// newClient sends the chunks of content to an upload whose id is the test's to choose.
func newClient(s *Server, id string, content Content) *Client {
	return &Client{HTTP: http.DefaultClient, URL: s.URL(id), Content: content}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
