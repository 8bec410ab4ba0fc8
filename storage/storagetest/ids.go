package storagetest

import (
	"slices"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// idsAreFoundByPrefix checks storage.IDLister on uploads in every state.
func idsAreFoundByPrefix(f *fixture) {
	if _, ok := f.store.(storage.IDLister); !ok {
		f.Fatal("the store is no storage.IDLister")
	}
	prefix, data := storage.NewID(), Content(7, 1000)
	create := func(id string, size int64) storage.Upload {
		return f.createAs(storage.Record{ID: id, Size: size})
	}
	create(prefix+"-begun", f.size)
	finished, delivered, deleted := create(prefix+"-finished", 1000), create(prefix+"-delivered", 1000), create(prefix+"-deleted", 1000)
	for _, up := range []storage.Upload{finished, delivered} {
		f.put(up, data, ranges.Of(0, 1000))
		f.finish(up.ID, data)
	}
	f.markDelivered(delivered.ID)
	f.delete(deleted.ID)
	create(storage.NewID(), 1000)
	var ids []string
	for id, err := range f.store.(storage.IDLister).ListIDs(f.ctx, prefix) {
		if err != nil {
			f.Fatal(err)
		}
		if _, err := f.store.Load(f.ctx, id); err == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	want := []string{prefix + "-begun", prefix + "-delivered", prefix + "-finished"}
	if ids = slices.Compact(ids); !slices.Equal(ids, want) {
		f.Errorf("found %v, want %v", ids, want)
	}
}
