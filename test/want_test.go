package test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// wantFile demands that the finished upload is the content, byte for byte.
func wantFile(t *testing.T, url string, content Content) {
	t.Helper()
	resp, err := http.DefaultClient.Do(request(t, http.MethodGet, url, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	sum, n, err := Sum(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("download: status %d, %d bytes, %v", resp.StatusCode, n, err)
	}
	if n != content.Size || sum != content.Sum() {
		t.Fatalf("the file is not what was sent: %d bytes, sum %s; want %d, %s", n, sum, content.Size, content.Sum())
	}
}

// remove deletes the upload and demands that nothing of it is left but, for a
// while, an empty mark that it is gone.
func remove(t *testing.T, s *Server, id string) {
	t.Helper()
	ask(t, http.MethodDelete, s.URL(id), nil, []string{"Tus-Resumable: 1.0.0"}, http.StatusNoContent)
	ask(t, http.MethodGet, s.URL(id), nil, nil, http.StatusGone)
	wantNothingOf(t, s, id)
}

func wantNothingOf(t *testing.T, s *Server, id string) {
	t.Helper()
	marks := 0
	for path, size := range listing(t, s.Data) {
		if !strings.Contains(path, id) {
			continue
		}
		if marks++; marks > 1 || size > 0 {
			t.Errorf("left behind: %s (%d bytes)", path, size)
		}
	}
}

// listing is every file in a directory with its size.
func listing(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	files := map[string]int64{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		if info, err := entry.Info(); err == nil { // else it is gone by now
			files[strings.TrimPrefix(path, dir)] = info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// eventually waits until what is asked for holds.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for !holds() {
		if ctx.Err() != nil {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// wantOneEvent demands that the server's log has an event of an upload once.
func wantOneEvent(t *testing.T, s *Server, id, event string) {
	t.Helper()
	eventually(t, 30*time.Second, id+" was "+event, func() bool { return events(s, id, event) > 0 })
	if n := events(s, id, event); n != 1 {
		t.Errorf("the log says %d times that %s was %s", n, id, event)
	}
}

func events(s *Server, id, event string) int {
	n := 0
	for line := range strings.Lines(s.Log()) {
		var entry struct{ Msg, ID string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "upload "+event && entry.ID == id {
			n++
		}
	}
	return n
}
