package storage_test

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// enqueued collects the events that a core hands to its outbox.
type enqueued struct{ events []storage.Event }

func (q *enqueued) add(_ context.Context, e storage.Event) { q.events = append(q.events, e) }

func (q *enqueued) want(t *testing.T, after string, n int, local bool) {
	t.Helper()
	if len(q.events) != n {
		t.Fatalf("after %s: %d events, want %d", after, len(q.events), n)
	}
	if e := q.events[n-1]; e.ID != "it.finished" || e.Local != local || !e.Upload.Finished || !e.Upload.DeliveryPending {
		t.Errorf("after %s: %+v", after, e)
	}
}

func newDeliveryWorld(t *testing.T, q *enqueued) *world {
	w := newWorld(t, storage.Options{})
	w.started = func(u *storage.Uploads) { u.OnEnqueue(q.add) }
	w.restart()
	return w
}

func TestADeliveryStaysPendingUntilItIsMarkedDelivered(t *testing.T) {
	var q enqueued
	data := storagetest.Content(1, fileSize)
	w := newDeliveryWorld(t, &q)
	w.create(storage.Record{ID: "it", Size: fileSize})
	if _, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: bytes.NewReader(data)}); err != nil {
		t.Fatal(err)
	}
	q.want(t, "the write", 1, true)
	w.restart()
	if _, err := w.get("it"); err != nil {
		t.Fatal(err)
	}
	q.want(t, "a restart and a get", 2, false)
	w.sweep()
	q.want(t, "a sweep", 3, false)

	up, pending, err := w.uploads.PendingDelivery(w.ctx, "it")
	if err != nil || !pending || up.DeadLettered {
		t.Errorf("pending %v, dead-lettered %v, %v", pending, up.DeadLettered, err)
	}
	if err := w.uploads.MarkDelivered(w.ctx, up); err != nil {
		t.Errorf("mark delivered: %v", err)
	}
	if _, pending, err := w.uploads.PendingDelivery(w.ctx, "it"); err != nil || pending {
		t.Errorf("delivered: pending %v, %v", pending, err)
	}
	if _, err := w.get("it"); err != nil {
		t.Fatal(err)
	}
	w.sweep()
	q.want(t, "the delivery", 3, false)
}

func TestADeadLetteredDeliveryIsPendingAndNotEnqueued(t *testing.T) {
	var q enqueued
	w := newDeliveryWorld(t, &q)
	for _, id := range []string{"it", "delivered", "dead"} {
		w.create(storage.Record{ID: id})
	}
	w.create(storage.Record{ID: "unfinished", Size: 1})
	w.create(storage.Record{ID: "partial", Partial: true})
	for id, end := range map[string]func(context.Context, storage.Upload) error{"delivered": w.uploads.MarkDelivered, "dead": w.uploads.DeadLetter} {
		if up, _, err := w.uploads.PendingDelivery(w.ctx, id); err != nil || end(w.ctx, up) != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
	q.events = nil
	w.restart()
	w.sweep()
	q.want(t, "a sweep", 1, false)
	var pending []string
	for up, err := range w.uploads.PendingDeliveries(w.ctx) {
		if err != nil {
			t.Error(err)
		}
		if up.DeadLettered != (up.ID == "dead") {
			t.Errorf("%s: dead-lettered %v", up.ID, up.DeadLettered)
		}
		pending = append(pending, up.ID)
	}
	if slices.Sort(pending); !slices.Equal(pending, []string{"dead", "it"}) {
		t.Errorf("pending are %v", pending)
	}
	if _, pending, err := w.uploads.PendingDelivery(w.ctx, "never"); pending || err != nil {
		t.Errorf("an upload that never was: pending %v, %v", pending, err)
	}
}

func TestProgressIsReportedAsBytesAreStored(t *testing.T) {
	var offsets []int64
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{Observer: storage.Observer{Progress: func(_ context.Context, up storage.Upload) { offsets = append(offsets, up.Offset()) }}})
	w.create(storage.Record{ID: "it", Size: fileSize})
	if _, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: bytes.NewReader(data)}); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(offsets) || len(offsets) != fileSize/piece+1 || offsets[len(offsets)-1] != fileSize {
		t.Errorf("progress %v", offsets)
	}
}
