package storage_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestAnUploadWithOtherBytesThanExpectedIsNeverFinished(t *testing.T) {
	w := newWorld(t, storage.Options{})
	data := storagetest.Content(1, fileSize)
	wrong := storage.Expect(w.ctx, crc32c.Of(data)+1)
	w.create(storage.Record{ID: "it", Size: fileSize})
	if _, err := w.uploads.Write(wrong, "it", storage.Chunk{Body: bytes.NewReader(data[:100])}); err != nil {
		t.Errorf("a write that does not complete the upload: %v", err)
	}
	if _, err := w.uploads.Write(wrong, "it", storage.Chunk{Offset: 100, Body: bytes.NewReader(data[100:])}); !errors.Is(err, storage.ErrChecksum) {
		t.Errorf("the last write: %v, want ErrChecksum", err)
	}
	if _, err := w.uploads.Get(w.ctx, "it"); !errors.Is(err, storage.ErrGone) {
		t.Errorf("afterwards: %v, want ErrGone", err)
	}
	for _, e := range w.events.all() {
		if e.Type == storage.Finished {
			t.Error("the app was notified of the upload")
		}
	}
}

func TestAFinishedUploadWithOtherBytesThanExpectedIsKept(t *testing.T) {
	w := newWorld(t, storage.Options{})
	data := storagetest.Content(1, fileSize)
	right := storage.Expect(w.ctx, crc32c.Of(data))
	w.create(storage.Record{ID: "it", Size: fileSize})
	if up, err := w.uploads.Write(right, "it", storage.Chunk{Body: bytes.NewReader(data)}); err != nil || !up.Finished {
		t.Fatalf("write: %v", err)
	}
	if _, err := w.uploads.Get(right, "it"); err != nil {
		t.Errorf("get with the right checksum: %v", err)
	}
	wrong := storage.Expect(w.ctx, crc32c.Of(data)+1)
	if _, err := w.uploads.Write(wrong, "it", storage.Chunk{Body: bytes.NewReader(data)}); !errors.Is(err, storage.ErrChecksum) {
		t.Errorf("write again with another one: %v, want ErrChecksum", err)
	}
	if _, err := w.uploads.Get(w.ctx, "it"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
