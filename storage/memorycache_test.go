package storage_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestMemoryCacheIsACache(t *testing.T) {
	cache := new(storage.MemoryCache)
	storagetest.TestCache(t, func() storage.Cache { return cache })
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

// other puts the state of n other uploads.
func other(t *testing.T, x storage.Cache, n int) {
	t.Helper()
	for range n {
		if _, err := put(t, x, storage.Upload{Record: storage.Record{ID: storage.NewID()}}); err != nil {
			t.Fatalf("put: %v", err)
		}
	}
}

// State that was loaded before an eviction may lack extents that were appended in between,
// however many uploads were evicted since.
func TestMemoryCacheRejectsAStoreFromBeforeAnEviction(t *testing.T) {
	for _, others := range []int{1, 250_000} {
		cache := &storage.MemoryCache{Limit: 1}
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
		if err := cache.Invalidate(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
		other(t, cache, others)
		if _, err := cache.Get(t.Context(), "it"); err == nil {
			t.Error("it was not evicted")
		}
		if known, err := cache.Store(t.Context(), generation, up); err == nil {
			t.Errorf("after %d others, an old put was taken: %v is known", others, known.Received)
		}
		if _, err := put(t, cache, up); err != nil {
			t.Errorf("after %d others, a new put: %v", others, err)
		}
		if _, err := put(t, cache, storage.Upload{Record: storage.Record{ID: "gone"}}); err == nil {
			t.Errorf("after %d others, an invalidated upload was put", others)
		}
	}
}

// F32: uploads with large metadata take no more memory than others.
func TestF32MemoryCacheIsBoundedByBytes(t *testing.T) {
	const limit, size = 64 << 20, 900 << 10
	cache := new(storage.MemoryCache)
	ids := make([]string, 800)
	large := strings.Repeat("x", size)
	for i := range ids {
		ids[i] = storage.NewID()
		up := storage.Upload{Record: storage.Record{ID: ids[i], Metadata: map[string]string{"filename": large}}}
		if _, err := put(t, cache, up); err != nil {
			t.Fatalf("put: %v", err)
		}
		if _, err := cache.Get(t.Context(), ids[0]); err != nil {
			t.Fatalf("the one in use was evicted: %v", err)
		}
	}
	known := 0
	for _, id := range ids {
		if _, err := cache.Get(t.Context(), id); err == nil {
			known++
		}
	}
	if known > limit/size || known < limit/size-2 {
		t.Errorf("%d uploads are known, want about %d", known, limit/size)
	}
}

// Uploads of which nothing was received take memory, too.
func TestMemoryCacheIsBoundedForSmallUploads(t *testing.T) {
	cache := &storage.MemoryCache{Limit: 1 << 20}
	if _, err := put(t, cache, storage.Upload{Record: storage.Record{ID: "it"}}); err != nil {
		t.Fatal(err)
	}
	other(t, cache, 1<<20/512)
	if _, err := cache.Get(t.Context(), "it"); err == nil {
		t.Error("the first of many is still known")
	}
}

// The state of an upload takes more memory as it grows.
func TestMemoryCacheCountsWhatIsAppended(t *testing.T) {
	cache := &storage.MemoryCache{Limit: 1 << 20}
	other(t, cache, 100)
	if _, err := put(t, cache, storage.Upload{Record: storage.Record{ID: "it"}}); err != nil {
		t.Fatal(err)
	}
	for i := range int64(10_000) {
		if _, err := cache.Append(t.Context(), "it", storage.Extent{Range: ranges.Of(2*i, 1), Name: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	other(t, cache, 1)
	if _, err := cache.Get(t.Context(), "it"); err == nil {
		t.Error("an upload that is larger than the limit stays beside another")
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
