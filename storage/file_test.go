package storage_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestFileReadsAndSeeksLikeAFile(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize})
	w.resume("it", data)
	file := w.open("it")
	if err := iotest.TestReader(file, data); err != nil {
		t.Error(err)
	}
	if err := errors.Join(file.Close(), file.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
}

func (w *world) open(id string) *storage.File {
	w.Helper()
	up, err := w.get(id)
	if err != nil {
		w.Fatalf("get: %v", err)
	}
	file, err := w.core().Open(w.ctx, up)
	if err != nil {
		w.Fatalf("open: %v", err)
	}
	return file
}

func TestUnfinishedUploadHasNoFile(t *testing.T) {
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: 3})
	up, _ := w.get("it")
	if _, err := w.uploads.Open(w.ctx, up); !errors.Is(err, storage.ErrIncomplete) {
		t.Errorf("open: %v, want ErrIncomplete", err)
	}
}

func TestSeekingMakesNoStoreRequests(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize})
	w.resume("it", data)
	file := w.open("it")
	opened := 0
	w.memory.Inject(func(op storagetest.Op) storagetest.Outcome {
		opened++
		return storagetest.Works
	})
	for _, at := range []int64{5, fileSize, 0, fileSize + 10, 100} {
		if got, err := file.Seek(at, io.SeekStart); err != nil || got != at {
			t.Errorf("seek to %d: %d, %v", at, got, err)
		}
	}
	if _, err := file.Seek(-1, io.SeekStart); err == nil {
		t.Error("seek before the start: no error")
	}
	if opened != 0 {
		t.Errorf("seeking asked the store %d times", opened)
	}
	if err := storagetest.Same(file, data[100:]); err != nil || opened != 1 {
		t.Errorf("read after seeking: %v; the store was asked %d times, want once", err, opened)
	}
}

// truncated is a store whose files have lost their last byte.
type truncated struct{ *storagetest.Memory }

func (s truncated) Open(ctx context.Context, up storage.Upload, offset int64) (io.ReadCloser, error) {
	file, err := s.Memory.Open(ctx, up, offset)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(io.LimitReader(file, up.Size-offset-1)), nil
}

func TestReadingATruncatedFileFails(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize})
	w.resume("it", data)
	w.uploads = w.node(truncated{w.memory})
	if n, err := io.Copy(io.Discard, w.open("it")); !errors.Is(err, storage.ErrUnavailable) || n != fileSize-1 {
		t.Errorf("read: %d bytes, %v; want ErrUnavailable", n, err)
	}
}

func TestFailureOfTheStoreIsAFailureToRead(t *testing.T) {
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize})
	w.resume("it", storagetest.Content(1, fileSize))
	file := w.open("it")
	w.memory.Inject(failFirst(storagetest.Open, storagetest.Fails))
	if _, err := io.Copy(io.Discard, file); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("read: %v, want ErrUnavailable", err)
	}
	if err := storagetest.Same(file, storagetest.Content(1, fileSize)); err != nil {
		t.Errorf("read again: %v", err)
	}
}
