package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/config"
)

// otherFileSystem returns a directory on another file system than dir.
func otherFileSystem(t *testing.T, dir string) string {
	t.Helper()
	other, err := os.MkdirTemp("/dev/shm", "holdfast-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(other) })
	var a, b syscall.Stat_t
	if err := syscall.Stat(dir, &a); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Stat(other, &b); err != nil {
		t.Fatal(err)
	}
	if a.Dev == b.Dev {
		t.Fatalf("%s is on the file system of /dev/shm: set TMPDIR to a disk", dir)
	}
	return other
}

// Files are linked into place. On another file system each would be copied.
func TestAPlaceOnAnotherFileSystemFailsAtStart(t *testing.T) {
	year := time.Now().UTC().Format("2006")
	for template, c := range map[config.KeyTemplate]struct {
		mount string
		fails bool
	}{
		"videos/{year}/{id}": {"videos", true},
		"v/{year}/{id}":      {"v/" + year, true},
		"{year}-{id}":        {"videos", false},
		"audio/{id}":         {"videos", false},
	} {
		cfg := testConfig(t)
		cfg.KeyTemplate = template
		mount := filepath.Join(cfg.Data, filepath.FromSlash(c.mount))
		if err := os.MkdirAll(filepath.Dir(mount), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(otherFileSystem(t, filepath.Dir(mount)), mount); err != nil {
			t.Fatal(err)
		}
		s, err := Open(cfg, slog.New(slog.DiscardHandler))
		if err == nil {
			s.Close()
		}
		if (err != nil) != c.fails || c.fails && (!strings.Contains(err.Error(), "--key-template") || !strings.Contains(err.Error(), "another file system")) {
			t.Errorf("%s with %s elsewhere: %v", template, c.mount, err)
		}
		if left, _ := filepath.Glob(filepath.Join(cfg.Data, ".probe*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}
