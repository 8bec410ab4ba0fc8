package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// BeforeFinish is called for a concatenation as for any upload, before its file is made.
func TestARejectedConcatenationHasNoFile(t *testing.T) {
	var accept error
	var asked []string
	w := newWorld(t, storage.Options{Policy: storage.Policy{BeforeFinish: func(_ context.Context, up storage.Upload) error {
		asked = append(asked, up.ID)
		if up.Partial {
			return nil
		}
		return accept
	}}})
	for _, joins := range []bool{false, true} {
		if joins {
			w.uploads = w.node(storagetest.Joiner{Memory: w.memory})
		}
		id, part := "it"+strconv.FormatBool(joins), "part"+strconv.FormatBool(joins)
		data := storagetest.Content(1, 10)
		w.create(storage.Record{ID: part, Size: 10, Partial: true})
		w.resume(part, data)
		w.create(storage.Record{ID: id, Size: 20, Parts: []string{part, part}})
		accept, asked = errRefused, nil
		if _, err := w.uploads.Concat(w.ctx, id); !errors.Is(err, errRefused) || len(asked) != 1 || asked[0] != id {
			t.Errorf("joins %v: concat: %v, asked about %v; want %v", joins, err, asked, errRefused)
		}
		if up, err := w.memory.Load(w.ctx, id); err != nil || up.Finished || !up.Received.Empty() {
			t.Errorf("joins %v: finished %v, %v is there, %v", joins, up.Finished, up.Received, err)
		}
		accept = nil
		if up, err := w.uploads.Concat(w.ctx, id); err != nil || !up.Finished {
			t.Errorf("joins %v: concat: finished %v, %v", joins, up.Finished, err)
		}
		w.wantFile(id, append(append([]byte{}, data...), data...))
	}
}

// overlong is a store whose files have more or fewer bytes than their uploads.
type overlong struct {
	*storagetest.Memory
	by int64
}

func (s overlong) Open(ctx context.Context, up storage.Upload, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(make([]byte, up.Size-offset+s.by))), nil
}

func TestAPartWithAFileOfTheWrongLengthIsNotConcatenated(t *testing.T) {
	for _, by := range []int64{-1, 1} {
		w := newWorld(t, storage.Options{})
		w.create(storage.Record{ID: "part", Size: 10, Partial: true})
		w.resume("part", storagetest.Content(1, 10))
		w.create(storage.Record{ID: "it", Size: 20, Parts: []string{"part", "part"}})
		u := w.node(overlong{w.memory, by})
		if _, err := u.Concat(w.ctx, "it"); !storage.Transient(err) {
			t.Errorf("a part with %d bytes more: %v, want one that may pass", by, err)
		}
		if up, err := w.memory.Load(w.ctx, "it"); err != nil || up.Finished {
			t.Errorf("a part with %d bytes more: finished %v, %v", by, up.Finished, err)
		}
	}
}

// Rolling back a creation that was not reported to its client must not remove a file that
// the app was notified of.
func TestDeleteIfUnfinishedKeepsAFinishedUpload(t *testing.T) {
	w := newWorld(t, storage.Options{})
	data := storagetest.Content(1, fileSize)
	for _, id := range []string{"finished", "unfinished"} {
		w.create(storage.Record{ID: id, Size: fileSize})
	}
	w.resume("finished", data)
	if up, err := w.uploads.DeleteIfUnfinished(w.ctx, "finished"); err != nil || !up.Finished {
		t.Errorf("abandon: finished %v, %v", up.Finished, err)
	}
	w.wantFile("finished", data)
	w.wantEvents("finished", storage.Created, storage.Finished)
	if up, err := w.uploads.DeleteIfUnfinished(w.ctx, "unfinished"); err != nil || up.Finished {
		t.Errorf("abandon: finished %v, %v", up.Finished, err)
	}
	w.wantGone("unfinished")
	w.wantEvents("unfinished", storage.Created, storage.Deleted)
}

// The result of a load that took longer than the cache remembers evictions is rejected.
func TestMemoryCacheRejectsAnOldGeneration(t *testing.T) {
	var cache storage.MemoryCache
	up := storage.Upload{Record: storage.Record{ID: "it", Size: 10}}
	generation, err := cache.Generation(t.Context(), "it")
	if err != nil {
		t.Fatal(err)
	}
	at, err := strconv.ParseInt(generation, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for ago, want := range map[time.Duration]error{0: nil, 2 * time.Minute: storage.ErrGone} {
		if _, err := cache.Store(t.Context(), strconv.FormatInt(at-int64(ago), 10), up); !errors.Is(err, want) {
			t.Errorf("store with a generation %v old: %v, want %v", ago, err, want)
		}
	}
}

// cleaned records the argument of Clean.
type cleaned struct {
	*storagetest.Memory
	before time.Time
}

func (c *cleaned) Clean(_ context.Context, before time.Time) error {
	c.before = before
	return nil
}

// Tombstones are kept for a day, and for as long as unfinished uploads: a late client must
// get ErrGone.
func TestTombstonesAreKeptForADayAndAsLongAsUnfinishedUploads(t *testing.T) {
	now := time.Now()
	for after, want := range map[time.Duration]time.Duration{0: 24 * time.Hour, time.Hour: 24 * time.Hour, 72 * time.Hour: 72 * time.Hour} {
		store := &cleaned{Memory: storagetest.NewMemory(piece)}
		u := storage.New(store, nil, new(storage.MemoryCache), storage.Options{ExpireAfter: after, Log: discardLogger, Now: func() time.Time { return now }})
		if err := u.Sweep(t.Context()); err != nil {
			t.Errorf("sweep: %v", err)
		}
		if got := now.Sub(store.before); got != want {
			t.Errorf("uploads that expire after %v: deletions are remembered for %v, want %v", after, got, want)
		}
	}
}

// After a transient error the next sweep retries, rather than the next regular check of
// the upload. Here that never comes: the clock is stopped.
func TestTheNextSweepRetriesTransientErrors(t *testing.T) {
	now := time.Now()
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: 10})
	w.memory.Inject(failFirst(storagetest.Finish, storagetest.Fails))
	_, _ = w.uploads.Write(w.ctx, "it", storage.Chunk{Body: bytes.NewReader(storagetest.Content(1, 10))})
	w.memory.Inject(failFirst(storagetest.Finish, storagetest.Fails))
	finished := make(chan struct{})
	var once sync.Once
	sweeper := storage.New(w.memory, new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{
		Log: discardLogger, Now: func() time.Time { return now },
		Observer: storage.Observer{Event: func(_ context.Context, e storage.Event) { once.Do(func() { close(finished) }) }},
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); sweeper.Run(ctx, time.Millisecond) }()
	select {
	case <-finished:
	case <-time.After(30 * time.Second):
		t.Error("it was not finished")
	}
	stop()
	<-done
}

// A record's MaxSize can only lower the global limit.
func TestARecordsMaxSizeDoesNotRaiseTheGlobalLimit(t *testing.T) {
	for _, own := range []int64{0, 50, 1000} {
		w := newWorld(t, storage.Options{MaxSize: 100, Policy: storage.Policy{BeforeCreate: func(_ context.Context, rec *storage.Record) error {
			rec.MaxSize = own
			return nil
		}}})
		limit := int64(100)
		if own == 50 {
			limit = 50
		}
		if _, err := w.uploads.Create(w.ctx, storage.Record{Size: limit + 1}); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("own limit %d: create %d bytes: %v, want ErrTooLarge", own, limit+1, err)
		}
		w.create(storage.Record{ID: "it", Size: storage.Unknown})
		if up, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: bytes.NewReader(make([]byte, 200))}); !errors.Is(err, storage.ErrTooLarge) || up.Offset() != limit {
			t.Errorf("own limit %d: write of 200 bytes: offset %d, %v; want %d", own, up.Offset(), err, limit)
		}
		if _, err := w.uploads.SetSize(w.ctx, "it", limit+1); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("own limit %d: declare %d: %v, want ErrTooLarge", own, limit+1, err)
		}
	}
}

// generationCounter is a cache that counts calls of Generation.
type generationCounter struct {
	storage.MemoryCache
	calls int
}

func (x *generationCounter) Generation(ctx context.Context, id string) (string, error) {
	x.calls++
	return x.MemoryCache.Generation(ctx, id)
}

// Generation must be called before a load: extents of an entry that is evicted during the
// load may be missing from its result.
func TestTheGenerationIsTakenBeforeALoad(t *testing.T) {
	cache := &generationCounter{}
	w := newWorldWith(t, storage.Options{}, func() storage.Cache { return cache })
	early := false
	w.memory.Inject(func(op storagetest.Op) storagetest.Outcome {
		if op == storagetest.Load || op == storagetest.Create {
			early = early || cache.calls == 0
			cache.calls = 0
		}
		return storagetest.Works
	})
	w.create(storage.Record{ID: "it", Size: storage.Unknown})
	cache.MemoryCache = storage.MemoryCache{}
	if _, err := w.uploads.Get(w.ctx, "it"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.uploads.SetSize(w.ctx, "it", 10); err != nil {
		t.Fatal(err)
	}
	if early {
		t.Error("the store was called before Generation")
	}
}

// A cached upload that the store no longer has is invalidated when that is detected.
func TestAnUploadThatIsGoneFromTheStoreIsInvalidated(t *testing.T) {
	now := time.Now()
	cache := new(storage.MemoryCache)
	w := newWorldWith(t, storage.Options{ExpireAfter: time.Hour, Now: func() time.Time { return now }}, func() storage.Cache { return cache })
	w.create(storage.Record{ID: "it", Size: 10})
	if err := w.memory.Delete(w.ctx, "it"); err != nil { // by a node that could not reach the cache
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	w.wantGone("it")
	if up, err := cache.Get(w.ctx, "it"); err == nil {
		t.Errorf("still cached: %+v", up)
	}
}
