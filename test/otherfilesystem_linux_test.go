package test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// A key of the app that leads to another file system, here by a symbolic link to one in
// memory, takes a copy.
func TestF36AnAppMayChooseAKeyOnAnotherFileSystem(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"ChangeFileInfo":{"Storage":{"Key":"videos/2030/film.mp4"}}}`))
	}))
	defer app.Close()
	s := start(t, "--hook-url", app.URL, "--hook-events", "pre-create")
	other, err := os.MkdirTemp("/dev/shm", "holdfast")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(other)
	var here, there unix.Stat_t
	if err := errors.Join(unix.Stat(s.Data, &here), unix.Stat(other, &there)); err != nil || here.Dev == there.Dev {
		t.Fatalf("%v: %s and %s must be on two file systems", err, s.Data, other)
	}
	if err := os.Symlink(other, filepath.Join(s.Data, "videos")); err != nil {
		t.Fatal(err)
	}
	content := NewContent(512, 3*mib+1)
	c := newClient(s, "film", content)
	put(t, c, ranges.Of(0, mib), http.StatusAccepted)
	put(t, c, ranges.Range{Start: mib, End: content.Size}, http.StatusCreated)
	s.Kill()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(other, "2030", "film.mp4"))
	if err != nil || string(file) != string(content.Bytes(content.All())) {
		t.Errorf("%v: the file has %d bytes", err, len(file))
	}
	ask(t, http.MethodDelete, c.URL, nil, nil, http.StatusNoContent)
	if left, err := os.ReadDir(other); err != nil || len(left) > 0 {
		t.Errorf("%v: %v stays", err, left)
	}
}
