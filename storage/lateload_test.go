package storage_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// heldStore is a Store of which the first Load returns late what it has found.
type heldStore struct {
	storage.Store
	found, release chan struct{}
	held           bool
}

func (s *heldStore) Load(ctx context.Context, id string) (storage.Upload, error) {
	up, err := s.Store.Load(ctx, id)
	if !s.held {
		s.held = true
		close(s.found)
		<-s.release
	}
	return up, err
}

// distrusted is the shared cache as a process sees it that does not trust it for a moment:
// appended extents get there, but all else fails.
type distrusted struct{ *storage.MemoryCache }

var errDistrusted = errors.New("not trusted")

func (x distrusted) Get(context.Context, string) (storage.Upload, error) {
	return storage.Upload{}, errDistrusted
}

func (x distrusted) Store(context.Context, string, storage.Upload) (storage.Upload, error) {
	return storage.Upload{}, errDistrusted
}

func (x distrusted) Append(ctx context.Context, id string, p storage.Extent) (storage.Upload, error) {
	_, _ = x.MemoryCache.Append(ctx, id, p)
	return storage.Upload{}, errDistrusted
}

// killedCache and killedStore are those of a process that ends once the store has the file.
type killedCache struct{ distrusted }

func (killedCache) Append(context.Context, string, storage.Extent) (storage.Upload, error) {
	return storage.Upload{}, errDistrusted
}

func (killedCache) Invalidate(context.Context, string) error { return errDistrusted }

type killedStore struct{ storage.Store }

func (killedStore) MarkDelivered(context.Context, storage.Upload) error { return errDistrusted }

// One process loads an upload while another, which does not trust the shared cache at that
// moment, stores a chunk: what was loaded before the chunk must not be cached after it.
func TestF19StateThatWasLoadedBeforeAChunkIsNotCachedAfterIt(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	const half, more = fileSize / 2, fileSize * 3 / 4
	for name, c := range map[string]struct {
		end    int64
		killed bool
	}{
		"a chunk":                            {more, false},
		"the last chunk":                     {fileSize, false},
		"the last chunk of a killed process": {fileSize, true},
	} {
		t.Run(name, func(t *testing.T) {
			memory, shared := storagetest.NewMemory(piece), new(storage.MemoryCache)
			node := func(store storage.Store, cache storage.Cache) *storage.Uploads {
				return storage.New(store, new(storage.MemoryLocker), cache, storage.Options{Log: discardLogger})
			}
			before := node(memory, new(storage.MemoryCache))
			if _, err := before.Create(t.Context(), storage.Record{ID: "it", Size: fileSize}); err != nil {
				t.Fatal(err)
			}
			if _, err := before.Write(t.Context(), "it", storage.Chunk{Body: bytes.NewReader(data[:half])}); err != nil {
				t.Fatal(err)
			}

			held := &heldStore{Store: memory, found: make(chan struct{}), release: make(chan struct{})}
			slow := node(held, shared)
			loaded := make(chan error)
			go func() {
				_, err := slow.Get(t.Context(), "it")
				loaded <- err
			}()
			<-held.found
			writer := node(memory, distrusted{shared})
			if c.killed {
				writer = node(killedStore{memory}, killedCache{distrusted{shared}})
			}
			if _, err := writer.Write(t.Context(), "it", storage.Chunk{Offset: half, Body: bytes.NewReader(data[half:c.end])}); err != nil {
				t.Fatal(err)
			}
			shown, err := node(memory, distrusted{shared}).Get(t.Context(), "it")
			if err != nil || shown.Offset() != c.end {
				t.Fatalf("offset %d, %v; want %d", shown.Offset(), err, c.end)
			}
			close(held.release)
			if err := <-loaded; err != nil {
				t.Fatal(err)
			}
			if up, err := slow.Get(t.Context(), "it"); err != nil || up.Offset() != c.end || up.Finished != (c.end == fileSize) {
				t.Errorf("the offset goes back from %d to %d; finished %t, %v", c.end, up.Offset(), up.Finished, err)
			}
		})
	}
}
