package storage_test

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// deliveries are what a core has handed over to be delivered.
type deliveries struct{ events []storage.Event }

func (d *deliveries) take(_ context.Context, e storage.Event) { d.events = append(d.events, e) }

func (d *deliveries) want(t *testing.T, after string, n int, fresh bool) {
	t.Helper()
	if len(d.events) != n {
		t.Fatalf("after %s: %d deliveries, want %d", after, len(d.events), n)
	}
	if e := d.events[n-1]; e.ID != "it.finished" || e.Fresh != fresh || !e.Upload.Finished || !e.Upload.Owed {
		t.Errorf("after %s: %+v", after, e)
	}
}

// What is to be delivered stays owed, whoever dies, until somebody says that it was.
func TestAFinishedUploadIsHandedOverUntilItIsTold(t *testing.T) {
	var d deliveries
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{Deliver: d.take})
	w.create(storage.Record{ID: "it", Size: fileSize})
	if _, err := w.uploads.Write(w.ctx, "it", 0, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	d.want(t, "the write", 1, true)
	w.restart()
	if _, err := w.get("it"); err != nil {
		t.Fatal(err)
	}
	d.want(t, "a restart and a look", 2, false)
	w.sweep()
	d.want(t, "a sweep", 3, false)

	up, owed, err := w.uploads.Owed(w.ctx, "it")
	if err != nil || !owed || up.Parked {
		t.Errorf("owed %v, parked %v, %v", owed, up.Parked, err)
	}
	if err := w.uploads.Told(w.ctx, up); err != nil {
		t.Errorf("told: %v", err)
	}
	if _, owed, err := w.uploads.Owed(w.ctx, "it"); err != nil || owed {
		t.Errorf("told: owed %v, %v", owed, err)
	}
	if _, err := w.get("it"); err != nil {
		t.Fatal(err)
	}
	w.sweep()
	d.want(t, "it was told", 3, false)
}

func TestWhatIsParkedIsOwedAndNotHandedOver(t *testing.T) {
	var d deliveries
	w := newWorld(t, storage.Options{Deliver: d.take})
	for _, id := range []string{"it", "told", "parked"} {
		w.create(storage.Record{ID: id})
	}
	w.create(storage.Record{ID: "unfinished", Size: 1})
	w.create(storage.Record{ID: "partial", Partial: true})
	for id, end := range map[string]func(context.Context, storage.Upload) error{"told": w.uploads.Told, "parked": w.uploads.Park} {
		if up, _, err := w.uploads.Owed(w.ctx, id); err != nil || end(w.ctx, up) != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
	d.events = nil
	w.restart()
	w.sweep()
	d.want(t, "a sweep", 1, false)
	var owed []string
	for up, err := range w.uploads.AllOwed(w.ctx) {
		if err != nil {
			t.Error(err)
		}
		if up.Parked != (up.ID == "parked") {
			t.Errorf("%s: parked %v", up.ID, up.Parked)
		}
		owed = append(owed, up.ID)
	}
	if slices.Sort(owed); !slices.Equal(owed, []string{"it", "parked"}) {
		t.Errorf("owed are %v", owed)
	}
	if _, owed, err := w.uploads.Owed(w.ctx, "never"); owed || err != nil {
		t.Errorf("an upload that never was: owed %v, %v", owed, err)
	}
}

func TestProgressIsToldAsBytesAreStored(t *testing.T) {
	var seen []int64
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{Progress: func(_ context.Context, up storage.Upload) { seen = append(seen, up.Offset()) }})
	w.create(storage.Record{ID: "it", Size: fileSize})
	if _, err := w.uploads.Write(w.ctx, "it", 0, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(seen) || len(seen) != fileSize/piece+1 || seen[len(seen)-1] != fileSize {
		t.Errorf("progress %v", seen)
	}
}
