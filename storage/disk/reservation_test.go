package disk

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// The upload stays open because another request writes to it.
func TestRangeIsWritableAfterAFailedWrite(t *testing.T) {
	var fail atomic.Bool
	store, up := newUploadOn(t, func(op, path string) verdict {
		if op == "write" && strings.HasSuffix(path, ".data") && fail.CompareAndSwap(true, false) {
			return verdict{err: syscall.ENOSPC}
		}
		return verdict{}
	})
	ctx := context.Background()
	put := func(offset int64, data []byte) error {
		c := storage.Chunk{Offset: offset, Length: int64(len(data)), Body: bytes.NewReader(data)}
		return store.Write(ctx, up, c, func(storage.Extent) storage.Upload { return up })
	}
	data := storagetest.Content(1, 1000)
	gate := storagetest.NewGate(bytes.NewReader(data[:10]), bytes.NewReader(nil))
	done := make(chan error, 1)
	go func() {
		c := storage.Chunk{Length: storage.Unknown, Body: gate}
		done <- store.Write(ctx, up, c, func(storage.Extent) storage.Upload { return up })
	}()
	<-gate.Reached
	if err := put(400, data[400:500]); err != nil { // in the middle of the range that fails next
		t.Fatal(err)
	}
	fail.Store(true)
	if err := put(300, data[300:600]); !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("failing write: %v, want ErrNoSpace", err)
	}
	next := make(chan error, 1)
	go func() { next <- put(300, data[300:600]) }()
	select {
	case err := <-next:
		if err != nil {
			t.Errorf("the next write: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the next write waits for a failed one")
	}
	gate.Open()
	if err := <-done; err != nil {
		t.Errorf("concurrent write: %v", err)
	}
	want := ranges.NewSet(ranges.Of(0, 10), ranges.Of(300, 300))
	if up, err := store.Load(ctx, lifeID); err != nil || !up.Received.Equal(want) {
		t.Errorf("received %v, %v; want %v", up.Received, err, want)
	}
}

// newUploadOn creates an upload of 1000 bytes on a file system with faults.
func newUploadOn(t *testing.T, fault func(op, path string) verdict) (*Store, storage.Upload) {
	fsys := newMemFS("/srv")
	fsys.fault = fault
	store, err := openMem(fsys, nil)
	rec := storage.Record{ID: lifeID, Size: 1000}
	if err == nil {
		err = store.Create(context.Background(), rec)
	}
	if err != nil {
		t.Fatal(err)
	}
	return store, storage.Upload{Record: rec}
}
