package storage_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestMemoryCacheIsACache(t *testing.T) {
	cache := new(storage.MemoryCache)
	storagetest.TestIndex(t, func() storage.Cache { return cache })
}

// put stores up with a new generation.
func put(t *testing.T, x storage.Cache, up storage.Upload) (storage.Upload, error) {
	t.Helper()
	generation, err := x.Generation(t.Context(), up.ID)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	return x.Store(t.Context(), generation, up)
}

// State that was loaded before an eviction may lack extents that were appended in between.
func TestMemoryCacheRejectsAStoreFromBeforeAnEviction(t *testing.T) {
	cache := new(storage.MemoryCache)
	up := storage.Upload{Record: storage.Record{ID: "it", Size: 100}}
	generation, err := cache.Generation(t.Context(), "it")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, cache, up); err != nil {
		t.Fatalf("put: %v", err)
	}
	if _, err := cache.Append(t.Context(), "it", storage.Extent{Range: ranges.Of(0, 50)}); err != nil {
		t.Fatalf("add: %v", err)
	}
	for range 100_000 { // so that there is no room
		if _, err := put(t, cache, storage.Upload{Record: storage.Record{ID: storage.NewID()}}); err != nil {
			t.Fatalf("put: %v", err)
		}
	}
	for i := 0; ; i++ {
		if _, err := cache.Get(t.Context(), "it"); err != nil {
			break
		}
		if _, err := put(t, cache, storage.Upload{Record: storage.Record{ID: storage.NewID()}}); err != nil || i > 10_000_000 {
			t.Fatalf("after %d more puts it is still known: %v", i, err)
		}
	}
	if known, err := cache.Store(t.Context(), generation, up); err == nil {
		t.Errorf("an old put was taken: %v is known", known.Received)
	}
	if _, err := put(t, cache, up); err != nil {
		t.Errorf("a new put: %v", err)
	}
}

func TestMemoryCacheEvictsRatherThanGrows(t *testing.T) {
	const most = 100_000
	cache := new(storage.MemoryCache)
	ids := make([]string, most+50)
	for i := range ids {
		ids[i] = storage.NewID()
		if _, err := put(t, cache, storage.Upload{Record: storage.Record{ID: ids[i]}}); err != nil {
			t.Fatalf("put: %v", err)
		}
	}
	known := 0
	for _, id := range ids {
		if _, err := cache.Get(t.Context(), id); err == nil {
			known++
		}
	}
	if known != most {
		t.Errorf("%d of %d uploads are known, want %d", known, len(ids), most)
	}
}

func TestMemoryCacheAcceptsAnInvalidatedUploadAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := new(storage.MemoryCache)
		up := storage.Upload{Record: storage.Record{ID: "it"}}
		for range 3 {
			if err := cache.Invalidate(t.Context(), "it"); err != nil {
				t.Errorf("drop: %v", err)
			}
			time.Sleep(10 * time.Second)
			if _, err := put(t, cache, up); err == nil {
				t.Error("put right after the drop: no error")
			}
			time.Sleep(time.Hour)
			if _, err := put(t, cache, up); err != nil {
				t.Errorf("put long after the drop: %v", err)
			}
		}
	})
}
