package disk

import (
	"bytes"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// The disk is kept writing while a large chunk arrives, so that its end need not wait for all of
// it; unless nothing waits for the disk.
func TestALargeChunkIsWrittenToTheDiskWhileItArrives(t *testing.T) {
	for _, c := range []struct {
		size   int64
		noSync bool
		want   int
	}{{writebackSize - 1, false, 0}, {3*writebackSize + 1, false, 3}, {3 * writebackSize, true, 0}} {
		fsys, began := newMemFS(memDir), 0
		fsys.fault = func(op, _ string) verdict {
			if op == "writeback" {
				began++
			}
			return verdict{}
		}
		s, err := open(fsys, memDir, Options{NoSync: c.noSync})
		if err != nil {
			t.Fatal(err)
		}
		rec := storage.Record{ID: "large", Size: c.size}
		if err := s.Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		body := storage.Chunk{Length: c.size, Body: bytes.NewReader(make([]byte, c.size))}
		if err := s.Write(t.Context(), storage.Upload{Record: rec}, body, func(storage.Extent) storage.Upload { return storage.Upload{} }); err != nil {
			t.Fatal(err)
		}
		if began != c.want {
			t.Errorf("%+v: the disk was asked %d times to begin writing", c, began)
		}
		_ = s.Close()
	}
}

// What could not be written to the disk is not acknowledged, even if only the end of the chunk
// shows it.
func TestAChunkThatTheDiskCannotWriteIsRefused(t *testing.T) {
	fsys := newMemFS(memDir)
	s, err := open(fsys, memDir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.writebackSize = 1
	rec := storage.Record{ID: "it", Size: 1000}
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	fsys.fault = func(op, _ string) verdict {
		if op == "writeback" {
			return verdict{err: syscall.EIO, drops: true}
		}
		return verdict{}
	}
	err = s.Write(t.Context(), storage.Upload{Record: rec}, storage.Chunk{Length: 1000, Body: bytes.NewReader(make([]byte, 1000))}, func(storage.Extent) storage.Upload {
		t.Error("it was acknowledged")
		return storage.Upload{}
	})
	if !storage.Transient(err) {
		t.Errorf("write: %v", err)
	}
}

// A flush at the moment at which the disk loses what it was to write does not acknowledge it: the
// next sync does not report that failure.
func TestNothingIsAcknowledgedWhileAWritebackFails(t *testing.T) {
	fsys := newMemFS(memDir)
	s, err := open(fsys, memDir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.writebackSize = 1
	rec := storage.Record{ID: "it", Size: 2000}
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	fsys.fault = func(op, _ string) verdict {
		if op == "writeback" {
			return verdict{err: syscall.EIO, drops: true}
		}
		return verdict{}
	}
	flushed := make(chan error, 1)
	fsys.changed = func(op string) {
		if op != "writeback" {
			return
		}
		ended := make(chan struct{})
		go func() {
			flushed <- s.Flush(t.Context(), "it")
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(200 * time.Millisecond): // it waits for the writeback
		}
	}
	err = s.Write(t.Context(), storage.Upload{Record: rec}, storage.Chunk{Length: 1000, Body: bytes.NewReader(make([]byte, 1000))}, func(storage.Extent) storage.Upload {
		t.Error("it was acknowledged")
		return storage.Upload{}
	})
	if !storage.Transient(err) {
		t.Errorf("write: %v", err)
	}
	if err := <-flushed; !storage.Transient(err) {
		t.Errorf("flush: %v", err)
	}
	if up, err := s.Load(t.Context(), "it"); err != nil || !up.Received.Empty() {
		t.Errorf("load: %v, %v", up.Received, err)
	}
}
