package storage_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// noCache is a cache that cannot be reached.
type noCache struct{}

func (noCache) Get(context.Context, string) (storage.Upload, error) {
	return storage.Upload{}, storage.ErrUnavailable
}
func (noCache) Generation(context.Context, string) (string, error) { return "", storage.ErrUnavailable }
func (noCache) Store(context.Context, string, storage.Upload) (storage.Upload, error) {
	return storage.Upload{}, storage.ErrUnavailable
}
func (noCache) Append(context.Context, string, storage.Extent) (storage.Upload, error) {
	return storage.Upload{}, storage.ErrUnavailable
}
func (noCache) Invalidate(context.Context, string) error { return storage.ErrUnavailable }

// Two nodes write concurrently and share only the store: the write that ends last detects
// that the upload is complete.
func TestTheLastWriteFinishesTheUploadWithoutACache(t *testing.T) {
	w := newWorld(t, storage.Options{})
	a := storage.New(w.memory, new(storage.MemoryLocker), noCache{}, storage.Options{Log: discardLogger})
	b := storage.New(w.memory.Node(), new(storage.MemoryLocker), noCache{}, storage.Options{Log: discardLogger})
	data := storagetest.Content(1, fileSize)
	half := int64(fileSize / 2)
	if _, err := a.Create(w.ctx, storage.Record{ID: "it", Size: fileSize}); err != nil {
		t.Fatal(err)
	}
	gate := storagetest.NewGate(bytes.NewReader(data[:10]), bytes.NewReader(data[10:half]))
	first := make(chan storage.Upload, 1)
	go func() {
		up, err := a.Write(w.ctx, "it", storage.Chunk{Body: gate})
		if err != nil {
			t.Errorf("write of the first half: %v", err)
		}
		first <- up
	}()
	<-gate.Reached
	if up, err := b.Write(w.ctx, "it", storage.Chunk{Offset: half, Body: bytes.NewReader(data[half:])}); err != nil || up.Finished {
		t.Errorf("write of the second half: finished %v, %v", up.Finished, err)
	}
	gate.Open()
	if up := <-first; !up.Finished {
		t.Errorf("the write that ended last says %v, not finished", up.Received)
	}
}
