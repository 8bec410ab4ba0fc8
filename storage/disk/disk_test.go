package disk_test

import (
	"cmp"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/disk"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestStoreConformance(t *testing.T) {
	storagetest.TestStore(t, func(t *testing.T) storagetest.Harness {
		return harness(t, func(id string) string { return id })
	})
}

func TestStoreConformanceWithKeys(t *testing.T) {
	key := func(id string) string { return "videos/" + id[:1] + "/" + id + " (1).mp4" }
	storagetest.TestStore(t, func(t *testing.T) storagetest.Harness {
		h := harness(t, key)
		h.Key = key
		return h
	})
}

func TestStoreConformanceWithoutHardLinks(t *testing.T) {
	storagetest.TestStore(t, func(t *testing.T) storagetest.Harness {
		h := harness(t, func(id string) string { return id })
		open := h.Open
		h.Open = func() storage.Store {
			s := open().(*disk.Store)
			s.LinksFail(syscall.EPERM)
			return s
		}
		return h
	})
}

// harness is for an empty directory. Key returns the path of an upload's file in it.
func harness(t *testing.T, key func(id string) string) storagetest.Harness {
	dir := t.TempDir()
	var store *disk.Store
	closeStore := func() {
		if store != nil {
			_ = store.Close() // simulates the end of a process
		}
	}
	t.Cleanup(closeStore)
	open := func() storage.Store {
		closeStore()
		var err error
		if store, err = disk.Open(dir, disk.Options{NoSync: true}); err != nil {
			t.Fatalf("open: %v", err)
		}
		return store
	}
	lost := 0
	lose := func(id string) {
		path := filepath.Join(dir, key(id))
		remove := func() error { return os.Remove(path) }
		if lost++; lost%2 == 0 {
			remove = func() error { return os.Truncate(path, 10) }
		}
		if err := remove(); err != nil {
			t.Errorf("lose the file of %s: %v", id, err)
		}
	}
	move := func(up storage.Upload) {
		path := filepath.Join(dir, cmp.Or(up.Key, up.ID))
		if err := os.Rename(path, filepath.Join(t.TempDir(), "moved")); err != nil {
			t.Errorf("move the file of %s: %v", up.ID, err)
		}
	}
	return storagetest.Harness{Open: open, Lose: lose, Move: move}
}
