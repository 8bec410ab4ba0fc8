package storagetest

import (
	"errors"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func keyed(key string, size int64) storage.Record {
	return storage.Record{ID: storage.NewID(), Key: key, Size: size, Created: time.Now().UTC()}
}

// wantKeyTaken checks that an upload can't be created because of its key, and is not.
func (f *fixture) wantKeyTaken(rec storage.Record) {
	f.Helper()
	if err := f.store.Create(f.ctx, rec); !errors.Is(err, storage.ErrKeyTaken) {
		f.Errorf("create %s with the key %q: %v, want ErrKeyTaken", rec.ID, rec.Key, err)
	}
	f.step()
	if up, err := f.store.Load(f.ctx, rec.ID); !errors.Is(err, storage.ErrNotFound) {
		f.Errorf("load what was not created: %+v, %v, want ErrNotFound", up.Record, err)
	}
}

func keyIsTaken(f *fixture) {
	data := Content(1, f.size)
	first := f.createAs(keyed("videos/one.mp4", f.size))
	second := keyed(first.Key, 3)
	f.wantKeyTaken(second)
	f.put(first, data, ranges.Of(0, f.size/2))
	f.wantKeyTaken(second)
	f.put(first, data, ranges.Range{Start: f.size / 2, End: f.size})
	f.wantKeyTaken(second)
	f.finish(first.ID, data)
	f.wantKeyTaken(second)
	f.markDelivered(first.ID)
	f.wantKeyTaken(second)
	f.delete(second.ID)
	f.wantFile(first.ID, data)
	f.delete(first.ID)
	f.createAs(second)
}

func keyIsTakenOnce(f *fixture) {
	for range 10 {
		key := "videos/" + storage.NewID()
		errs := together(8, func(int) error { return f.store.Create(f.ctx, keyed(key, 3)) })
		f.step()
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
			} else if !errors.Is(err, storage.ErrKeyTaken) && !storage.Transient(err) {
				f.Errorf("%v, want ErrKeyTaken", err)
			}
		}
		if made > 1 {
			f.Errorf("%d uploads with one key were created", made)
		}
		if made == 0 {
			f.createAs(keyed(key, 3)) // none of them is in the way of the next
		}
	}
}

func keyIsAnothersID(f *fixture) {
	id, key := storage.NewID(), storage.NewID()
	create := func(rec storage.Record) {
		rec.Size, rec.Created, rec.ClientChosenID = 3, time.Now().UTC(), true
		if err := f.store.Create(f.ctx, rec); err != nil {
			f.Fatalf("create %+v: %v", rec, err)
		}
		f.step()
	}
	create(storage.Record{ID: id})
	f.wantKeyTaken(keyed(id, 3))
	create(storage.Record{ID: "other", Key: key})
	f.wantKeyTaken(storage.Record{ID: key, Size: 3, ClientChosenID: true, Created: time.Now().UTC()})
	create(storage.Record{ID: key, Key: "yet/another"})
	f.delete(id)
	create(storage.Record{ID: "after it", Key: id})
}

func keyIsFreeAgain(f *fixture) {
	data := Content(1, f.size)
	first := f.createAs(keyed("videos/one.mp4", f.size))
	f.put(first, Content(2, f.size), ranges.Of(0, 2*f.size/3))
	f.delete(first.ID)
	f.step()
	next := f.createAs(keyed(first.Key, f.size))
	f.put(next, data, ranges.Of(0, 2*f.size/3))
	f.delete(first.ID)
	if c, ok := f.store.(storage.Cleaner); ok {
		if err := c.Clean(f.ctx, time.Now().Add(time.Hour)); err != nil {
			f.Errorf("clean: %v", err)
		}
	}
	f.wantReceived(next.ID, ranges.Of(0, 2*f.size/3))
	f.put(next, data, ranges.Range{Start: 2 * f.size / 3, End: f.size})
	f.finish(next.ID, data)
	f.delete(first.ID)
	f.wantFile(next.ID, data)
}
