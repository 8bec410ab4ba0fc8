package storage_test

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// flushing is a Flusher that counts its calls.
type flushing struct {
	*storagetest.Memory
	flushes atomic.Int64
}

func (f *flushing) Flush(context.Context, string) error {
	f.flushes.Add(1)
	return nil
}

// Polling causes at most one flush each second, and none without a write in progress.
func TestF20FlushesAreRateLimited(t *testing.T) {
	store := &flushing{Memory: storagetest.NewMemory(piece)}
	uploads := storage.New(store, new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{Log: discardLogger})
	if _, err := uploads.Create(t.Context(), storage.Record{ID: "it", Size: fileSize}); err != nil {
		t.Fatal(err)
	}
	poll := func() {
		for range 100 {
			if _, err := uploads.GetFlushed(t.Context(), "it"); err != nil {
				t.Fatal(err)
			}
		}
	}
	poll()
	if n := store.flushes.Load(); n != 0 {
		t.Errorf("%d flushes of an upload without a write in progress", n)
	}
	for range 2 { // the first poll during each write flushes it
		before, began := store.flushes.Load(), time.Now()
		src, dst := io.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = uploads.Write(t.Context(), "it", storage.Chunk{Body: src})
		}()
		_, _ = dst.Write([]byte("x")) // it has begun
		poll()
		most := 1 + int64(time.Since(began)/time.Second)
		if n := store.flushes.Load() - before; n < 1 || n > most {
			t.Errorf("100 readers have caused %d flushes, want 1 to %d", n, most)
		}
		_ = dst.CloseWithError(io.ErrUnexpectedEOF)
		<-done
	}
}
