package disk_test

import (
	"slices"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// Ids may end like the names of the store's own files.
func TestCleanDoesNotMistakeAnUploadForAnOrphan(t *testing.T) {
	p := newPlace(t)
	suffixes := []string{"", ".log", ".data", ".deadletter", ".new", ".log.new"}
	ids := []string{"beside"} // while there is no upload "alone"
	for _, one := range suffixes {
		for _, two := range suffixes {
			ids = append(ids, "alone"+one+two, "beside"+one+two)
		}
	}
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "alone" })
	for i, id := range ids {
		p.create(storage.Record{ID: id, Size: 1000})
		p.write(id, 0, storagetest.Content(uint64(i), 1000)[:500])
	}
	p.clean()
	for i, id := range ids {
		p.write(id, 500, storagetest.Content(uint64(i), 1000)[500:])
		p.must("finish "+id, p.finish(id))
	}
	p.clean()
	for i, id := range ids {
		p.wantFile(id, storagetest.Content(uint64(i), 1000))
	}
}
