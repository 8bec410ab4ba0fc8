package storage_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// Concurrent requests for a new upload call BeforeCreate once and load from the store
// once.
func TestConcurrentRequestsCreateANewUploadOnce(t *testing.T) {
	var asked, loads atomic.Int64
	memory := storagetest.NewMemory(piece)
	w := newWorld(t, storage.Options{Policy: storage.Policy{BeforeCreate: func(context.Context, *storage.Record) error { asked.Add(1); return nil }}})
	w.uploads = storage.New(countedLoads{memory, &loads}, new(storage.MemoryLocker), new(storage.MemoryCache), w.opts)
	var asking sync.WaitGroup
	for range 30 {
		asking.Go(func() {
			up, err := w.uploads.GetOrCreate(t.Context(), storage.Record{ID: "new", Size: fileSize})
			if err != nil || up.Size != fileSize {
				t.Errorf("size %d, %v", up.Size, err)
			}
		})
	}
	asking.Wait()
	if asked.Load() != 1 || loads.Load() != 1 {
		t.Errorf("the app was asked %d times, the store %d times; want once", asked.Load(), loads.Load())
	}
}

// If the first request may not create the upload, each of the others tries on its own: it
// may come from another client.
func TestARejectedCreationDoesNotFailOtherRequests(t *testing.T) {
	refused := errors.New("not for this one")
	var asked atomic.Int64
	entered, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, storage.Options{Policy: storage.Policy{BeforeCreate: func(context.Context, *storage.Record) error {
		if asked.Add(1) > 1 {
			return nil
		}
		close(entered)
		<-release
		return refused
	}}})
	w.uploads = storage.New(w.memory, new(storage.MemoryLocker), new(storage.MemoryCache), w.opts)
	first := make(chan error)
	go func() {
		_, err := w.uploads.GetOrCreate(w.ctx, storage.Record{ID: "new", Size: fileSize})
		first <- err
	}()
	<-entered
	var asking sync.WaitGroup
	for range 5 {
		asking.Go(func() {
			if _, err := w.uploads.GetOrCreate(w.ctx, storage.Record{ID: "new", Size: fileSize}); err != nil {
				t.Errorf("get or create: %v", err)
			}
		})
	}
	gone, cancel := context.WithCancel(w.ctx)
	cancel()
	if _, err := w.uploads.GetOrCreate(gone, storage.Record{ID: "new"}); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("a canceled request: %v", err)
	}
	close(release)
	if err := <-first; !errors.Is(err, refused) {
		t.Errorf("the first: %v", err)
	}
	asking.Wait()
}

// countedLoads counts calls of Load.
type countedLoads struct {
	storage.Store
	loads *atomic.Int64
}

// Load implements storage.Store.
func (s countedLoads) Load(ctx context.Context, id string) (storage.Upload, error) {
	s.loads.Add(1)
	return s.Store.Load(ctx, id)
}
