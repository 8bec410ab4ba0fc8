package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// F23: after the app has moved the file the upload stays complete for RememberFinished,
// then it is gone, and finally its id is free.
func TestF23AnUploadWithAMovedFileIsRememberedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := storagetest.Content(1, fileSize)
		w := newWorld(t, storage.Options{RememberFinished: 7 * day})
		w.create(storage.Record{ID: "it", Size: fileSize})
		w.send("it", data, storagetest.Chunks(fileSize, fileSize)[0])
		w.memory.MoveFile("it")
		for range 7 {
			w.restart()
			w.wantComplete("it", data)
			w.sweep()
			time.Sleep(day - time.Hour)
		}
		w.wantComplete("it", data)
		time.Sleep(7 * time.Hour)
		if _, err := w.get("it"); !errors.Is(err, storage.ErrGone) {
			t.Errorf("get after 7 days: %v, want ErrGone", err)
		}
		if _, err := w.uploads.Create(w.ctx, storage.Record{ID: "it", Size: 1}); !errors.Is(err, storage.ErrExists) {
			t.Errorf("create before it is forgotten: %v, want ErrExists", err)
		}
		time.Sleep(day)
		w.sweep()
		if _, err := w.get("it"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("get after it was forgotten: %v, want ErrNotFound", err)
		}
		w.wantEvents("it", storage.Created, storage.Finished)
	})
}

// wantComplete checks what callers get of an upload whose file is missing.
func (w *world) wantComplete(id string, data []byte) {
	w.Helper()
	up, err := w.get(id)
	if err != nil || !up.Finished || !up.FileMissing || up.Offset() != int64(len(data)) {
		w.Errorf("get: %+v, %v", up, err)
		return
	}
	up, err = w.core().Write(w.ctx, id, storage.Chunk{Offset: 5, Body: bytes.NewReader(data[5:100])})
	if err != nil || !up.Finished {
		w.Errorf("write late: %v", err)
	}
	if _, err := w.core().SetSize(w.ctx, id, up.Size); err != nil {
		w.Errorf("declare the size that it has: %v", err)
	}
	if _, err := w.core().SetSize(w.ctx, id, up.Size+1); !errors.Is(err, storage.ErrSizeMismatch) {
		w.Errorf("declare another size: %v", err)
	}
	file, err := w.core().Open(w.ctx, up)
	if err != nil {
		w.Fatalf("open: %v", err)
	}
	if _, err := io.ReadAll(file); !errors.Is(err, storage.ErrGone) || !strings.Contains(err.Error(), "moved or deleted") {
		w.Errorf("read: %v, want ErrGone and why", err)
	}
	if _, err := w.core().Link(w.ctx, up); !errors.Is(err, storage.ErrGone) {
		w.Errorf("link: %v, want ErrGone", err)
	}
}

func TestF23AMovedFileCannotBeConcatenated(t *testing.T) {
	w := newWorld(t, storage.Options{RememberFinished: time.Hour})
	data := storagetest.Content(1, fileSize)
	w.create(storage.Record{ID: "part", Size: fileSize})
	w.send("part", data, storagetest.Chunks(fileSize, fileSize)[0])
	w.memory.MoveFile("part")
	w.create(storage.Record{ID: "joined", Size: fileSize, Parts: []string{"part"}})
	if _, err := w.uploads.Concat(w.ctx, "joined"); !errors.Is(err, storage.ErrGone) {
		t.Errorf("concatenate: %v, want ErrGone", err)
	}
}

// Without an outbox, a pending event is published at the latest when the upload is
// deleted, before the deletion.
func TestADeletedUploadIsPublishedAsFinishedFirst(t *testing.T) {
	w := newWorld(t, storage.Options{})
	w.memory.Inject(failFirst(storagetest.MarkDelivered, storagetest.Fails))
	w.create(storage.Record{ID: "it"})
	w.restart()
	w.delete("it")
	w.wantGone("it")
	w.sweep()
	w.wantEvents("it", storage.Created, storage.Finished, storage.Finished, storage.Deleted)
}

// A deleted upload stays pending in the outbox until its event is delivered.
func TestTheDeliveryOfADeletedUploadStaysPending(t *testing.T) {
	var d enqueued
	w := newDeliveryWorld(t, &d)
	w.create(storage.Record{ID: "it"})
	w.delete("it")
	w.wantGone("it")
	w.restart()
	w.sweep()
	if n := len(d.events); n != 2 || !d.events[1].Upload.Deleted || d.events[1].Local {
		t.Fatalf("after a sweep: %+v", d.events)
	}
	up, pending, err := w.uploads.PendingDelivery(w.ctx, "it")
	if err != nil || !pending || !up.Deleted || !up.Finished {
		t.Errorf("pending %v, %+v, %v", pending, up, err)
	}
	listed := 0
	for up, err := range w.uploads.Active(w.ctx) {
		if err != nil || up.ID != "it" || !up.DeliveryPending {
			t.Errorf("listed: %+v, %v", up, err)
		}
		listed++
	}
	if listed != 1 {
		t.Errorf("it is listed %d times", listed)
	}
	if err := w.uploads.MarkDelivered(w.ctx, up); err != nil {
		t.Error(err)
	}
	w.sweep()
	if _, pending, err := w.uploads.PendingDelivery(w.ctx, "it"); err != nil || pending || len(d.events) != 2 {
		t.Errorf("delivered: pending %v, %v, %d deliveries", pending, err, len(d.events))
	}
	w.wantGone("it")
}

// twice is a store that lists each id twice.
type twice struct{ *storagetest.Memory }

func (s twice) ListIDs(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for range 2 {
			s.Memory.ListIDs(ctx, prefix)(yield)
		}
	}
}

func TestAllYieldsFinishedUploadsOnceEach(t *testing.T) {
	w := newWorld(t, storage.Options{})
	data := storagetest.Content(1, 1000)
	for _, id := range []string{"incomplete", "finished", "moved", "deleted"} {
		w.create(storage.Record{ID: id, Size: 1000})
	}
	for _, id := range []string{"finished", "moved"} {
		w.send(id, data, ranges.Of(0, 1000))
	}
	w.delete("deleted")
	w.memory.MoveFile("moved")
	for name, list := range map[string]func(context.Context) iter.Seq2[storage.Upload, error]{
		"all": w.node(twice{w.memory}).All, "all of a store that is no IDLister": w.node(struct{ storage.Store }{w.memory}).All, "active": w.uploads.Active,
	} {
		want := []string{"incomplete"}
		if name == "all" {
			want = []string{"finished", "incomplete", "moved"}
		}
		var got []string
		for up, err := range list(w.ctx) {
			if err != nil || up.Finished != (up.ID != "incomplete") || up.FileMissing != (up.ID == "moved") {
				t.Errorf("%s: %+v, %v", name, up, err)
			}
			got = append(got, up.ID)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
