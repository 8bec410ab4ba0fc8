package disk_test

import (
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/disk"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestDiskKeepsThePromisesOfAStore(t *testing.T) {
	storagetest.TestStore(t, func(t *testing.T) storagetest.Harness {
		dir := t.TempDir()
		var store *disk.Store
		closeStore := func() {
			if store != nil {
				_ = store.Close() // it is the end of a process, which nobody checks
			}
		}
		t.Cleanup(closeStore)
		return storagetest.Harness{Open: func() storage.Store {
			closeStore()
			var err error
			if store, err = disk.Open(dir, disk.Options{NoSync: true}); err != nil {
				t.Fatalf("open: %v", err)
			}
			return store
		}}
	})
}
