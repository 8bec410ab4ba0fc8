package storage_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// These tests check the order of storing and reporting: each must hold at any moment at
// which the process may be killed.

// F6: while the app is being notified, the delivery is still pending in the store. After a
// crash in between the app is notified again, with the same id.
func TestF06TheEventStaysPendingUntilTheAppHasBeenNotified(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	memory := storagetest.NewMemory(piece)
	var ids []string
	notify := func(ctx context.Context, e storage.Event) {
		if e.Type != storage.Finished {
			return
		}
		ids = append(ids, e.ID)
		if up, err := memory.Load(ctx, e.Upload.ID); err != nil || !up.Finished || !up.DeliveryPending {
			t.Errorf("while the app is notified: finished %v, pending %v, %v", up.Finished, up.DeliveryPending, err)
		}
		if len(ids) == 1 {
			memory = memory.Restart() // it is killed here
		}
	}
	start := func() *storage.Uploads {
		return storage.New(memory, new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{Observer: storage.Observer{Event: notify}, Log: discardLogger})
	}
	u := start()
	if _, err := u.Create(t.Context(), storage.Record{ID: "it", Size: fileSize}); err != nil {
		t.Fatal(err)
	}
	_, _ = u.Write(t.Context(), "it", storage.Chunk{Body: bytes.NewReader(data)})
	if err := start().Sweep(t.Context()); err != nil {
		t.Errorf("sweep: %v", err)
	}
	if len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("the app was notified with the ids %q, want the same one twice", ids)
	}
	if up, err := memory.Load(t.Context(), "it"); err != nil || up.DeliveryPending {
		t.Errorf("after that: pending %v, %v", up.DeliveryPending, err)
	}
}

// Progress, which other services may pass on, is not ahead of the store.
func TestProgressIsReportedOnceTheStoreHasTheBytes(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	memory := storagetest.NewMemory(piece)
	reports := 0
	u := storage.New(memory, new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{Log: discardLogger,
		Observer: storage.Observer{Progress: func(ctx context.Context, up storage.Upload) {
			reports++
			if now, err := memory.Load(ctx, up.ID); err != nil || now.Offset() < up.Offset() {
				t.Errorf("offset %d was reported, the store has %d, %v", up.Offset(), now.Offset(), err)
			}
		}}})
	if _, err := u.Create(t.Context(), storage.Record{ID: "it", Size: fileSize}); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(t.Context(), "it", storage.Chunk{Body: bytes.NewReader(data)}); err != nil || reports == 0 {
		t.Errorf("write: %v after %d reports", err, reports)
	}
}

// The event of a deletion or an expiry is published after the upload is gone, that of a
// creation after it exists, so that receivers find that state.
func TestEventsArePublishedAfterTheStoreHasChanged(t *testing.T) {
	memory := storagetest.NewMemory(piece)
	published := map[storage.EventType]bool{}
	u := storage.New(memory, new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{Log: discardLogger,
		Observer: storage.Observer{Event: func(ctx context.Context, e storage.Event) {
			published[e.Type] = true
			up, err := memory.Load(ctx, e.Upload.ID)
			switch e.Type {
			case storage.Deleted, storage.Expired:
				if !errors.Is(err, storage.ErrGone) {
					t.Errorf("%s: load: %v, want ErrGone", e.Type, err)
				}
			case storage.Created:
				if err != nil {
					t.Errorf("%s: load: %v", e.Type, err)
				}
			case storage.Finished:
				if err != nil || !up.Finished {
					t.Errorf("%s: load: finished %v, %v", e.Type, up.Finished, err)
				}
			}
		}}})
	for _, size := range []int64{0, fileSize} {
		up, err := u.Create(t.Context(), storage.Record{Size: size})
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Delete(t.Context(), up.ID); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if len(published) != 3 {
		t.Errorf("published were %v", published)
	}
}

// Authorize is called for each part of a concatenation, regardless of its owner: it may
// deny an owner one of its own uploads.
func TestConcatChecksAuthorizeForEachPart(t *testing.T) {
	for name, refusal := range map[string]error{"forbidden": storage.ErrForbidden, "not found": storage.ErrNotFound} {
		for _, finished := range []bool{true, false} {
			refuse := true
			w := newWorld(t, storage.Options{Policy: storage.Policy{Authorize: func(_ context.Context, up storage.Upload) error {
				if refuse && up.ID == "part" {
					return refusal
				}
				return nil
			}}})
			refuse = false
			w.create(storage.Record{ID: "part", Size: 10, Partial: true})
			if finished {
				w.resume("part", storagetest.Content(1, 10))
			}
			refuse = true
			w.create(storage.Record{ID: "it", Size: 10, Parts: []string{"part"}})
			for how, join := range map[string]func() error{
				"concat": func() error { _, err := w.uploads.Concat(w.ctx, "it"); return err },
				"get":    func() error { _, err := w.uploads.Get(w.ctx, "it"); return err },
			} {
				if err := join(); !errors.Is(err, refusal) {
					t.Errorf("%s, finished %v: %s: %v, want %v", name, finished, how, err, refusal)
				}
			}
			if up, err := w.memory.Load(w.ctx, "it"); err != nil || up.Finished || !up.Received.Empty() {
				t.Errorf("%s: finished %v, %v is there, %v", name, up.Finished, up.Received, err)
			}
		}
	}
}
