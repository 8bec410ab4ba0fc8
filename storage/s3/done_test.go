package s3

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// retiredOn uploads a file on a node of its own, which delivers the event, but dies before
// it has removed the objects that are not needed any more.
func retiredOn(t *testing.T, opts Options, rec storage.Record) (*phone, *node) {
	t.Helper()
	n := startNode(t, opts)
	c := &phone{t: t, node: n, data: storagetest.Content(5, rec.Size)}
	c.create(rec)
	c.send(ranges.Of(0, rec.Size))
	n.store.retired.takeSince(time.Now().Add(time.Hour))
	return c, n
}

// F23: a record that is left beside a done object does not cause the event to be delivered
// again, and is removed by the next sweep.
func TestF23AnInterruptedRetirementIsCompletedWithoutASecondDelivery(t *testing.T) {
	for _, size := range []int64{1000, threeCells} {
		for _, moved := range []bool{false, true} {
			opts := bucket(t)
			c, _ := retiredOn(t, opts, storage.Record{Size: size})
			other := startNode(t, opts)
			if up, err := other.Get(t.Context(), c.id); err != nil || !up.Finished || up.DeliveryPending || up.Delivered.IsZero() {
				t.Errorf("%d bytes: %+v, %v", size, up, err)
			}
			want := []string{c.id}
			if moved {
				moveFile(t, opts, storage.Upload{Record: storage.Record{ID: c.id}})
				want = nil
			}
			if up, err := other.store.Load(t.Context(), c.id); err != nil || !up.Finished || up.DeliveryPending || up.FileMissing != moved || up.Size != size {
				t.Errorf("%d bytes, moved %v: %+v, %v", size, moved, up, err)
			}
			if err := other.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			wantOnly(t, other.store, want...)
			if other.delivered[c.id] != 0 {
				t.Errorf("%d bytes, moved %v: the event was delivered again", size, moved)
			}
			if up, err := startNode(t, opts).store.Load(t.Context(), c.id); err != nil || up.FileMissing != moved || !up.Finished {
				t.Errorf("%d bytes, moved %v, after the sweep: %+v, %v", size, moved, up, err)
			}
		}
	}
}

// Old versions wrote no done object, or one with the record only.
func TestF23UploadsRetiredByOldVersionsAreStillLoaded(t *testing.T) {
	for _, key := range []string{"", "videos/it.mp4"} {
		opts := bucket(t)
		c, n := retiredOn(t, opts, storage.Record{ID: "it", Key: key, Size: 1000})
		up := mustLoad(t, n, "it")
		if err := n.store.client.Remove(t.Context(), n.store.liveKey("it", "record"), n.store.doneKey("it")); err != nil {
			t.Fatal(err)
		}
		missing := storage.ErrNotFound
		if key != "" {
			up.Size = storage.Unknown // it was set after creation
			text, err := json.Marshal(up.Record)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := n.store.client.PutIfAbsent(t.Context(), n.store.doneKey("it"), text); err != nil {
				t.Fatal(err)
			}
			missing = storage.ErrGone
		}
		c.wantFile(startNode(t, opts))
		if err := n.store.CleanFinished(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Error(err)
		}
		c.wantFile(startNode(t, opts))
		moveFile(t, opts, up)
		if now, err := n.store.Load(t.Context(), "it"); !errors.Is(err, missing) {
			t.Errorf("key %q: %+v, %v, want %v", key, now, err, missing)
		}
	}
}

// Done objects are removed by age alone, and do not add to the cost of sweeps.
func TestCleanFinishedRemovesAThousandObjectsPerRequest(t *testing.T) {
	n, _ := countingNode(t)
	for range 20 {
		mustWrite(t, n, mustCreate(t, n, storage.Record{Size: 10}), storagetest.Chunks(10, 10)[0])
	}
	n.wire.reset()
	if err := n.store.CleanFinished(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantRequests(t, n, "clean 20 finished uploads", 2)
}
