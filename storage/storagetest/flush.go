package storagetest

import (
	"errors"
	"io"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// flushedWritesGoOn checks storage.Flusher, if the store is one: what a write has read is
// stored when it is flushed, all but a byte at most, and the write goes on.
func flushedWritesGoOn(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	store, ok := f.store.(storage.Flusher)
	if !ok {
		return
	}
	if err := store.Flush(f.ctx, up.ID); errors.Is(err, errors.ErrUnsupported) {
		return
	} else if err != nil {
		f.Errorf("flush an upload that is not being written: %v", err)
	}
	src, dst := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.putFrom(f.store, up, ranges.Of(0, f.size), src)
	}()
	var sent int64
	for _, n := range []int64{f.size / 7, 1, f.size / 2} {
		if _, err := dst.Write(data[sent : sent+n]); err != nil {
			f.Fatal(err)
		}
		sent += n
		f.flushUntil(store, up.ID, sent-1)
	}
	if _, err := dst.Write(data[sent:]); err != nil {
		f.Fatal(err)
	}
	_ = dst.Close()
	<-done
	f.step()
	f.finish(up.ID, data)
}

// flushUntil flushes an upload until its offset has come to a given one. The store may
// take a moment for the bytes that it has just read.
func (f *fixture) flushUntil(store storage.Flusher, id string, offset int64) {
	f.Helper()
	for began := time.Now(); time.Since(began) < patience; time.Sleep(time.Millisecond) {
		if err := store.Flush(f.ctx, id); err != nil {
			f.Fatalf("flush: %v", err)
		}
		if f.load(id).Offset() >= offset {
			return
		}
	}
	f.Fatalf("flushed, the offset is %d, at least %d bytes had been read", f.load(id).Offset(), offset)
}
