package storage

import (
	"fmt"
	"testing"
	"time"
)

func TestDeliveriesBeyondTheQueueAreLeftToTheSweep(t *testing.T) {
	q := newDeliveryQueue()
	for i := range maxPending {
		if !q.add(&pendingDelivery{upload: fmt.Sprint(i), at: time.Now()}) {
			t.Fatalf("no room for %d", i)
		}
	}
	if q.add(&pendingDelivery{upload: "one more", at: time.Now()}) || q.pending() != maxPending {
		t.Errorf("%d wait, of %d at most", q.pending(), maxPending)
	}
	if !q.add(&pendingDelivery{upload: "0", at: time.Now()}) {
		t.Error("a delivery that waits already counts as one too many")
	}
}

func TestADeliveryIsQueuedOnce(t *testing.T) {
	q := newDeliveryQueue()
	for range 3 {
		if !q.add(&pendingDelivery{upload: "a", at: time.Now().Add(time.Hour)}) {
			t.Error("refused")
		}
	}
	if len(q.waiting) != 1 || q.pending() != 1 {
		t.Errorf("%d wait, %d are pending", len(q.waiting), q.pending())
	}
}

func TestMemoryOfQueuedDeliveriesIsLimited(t *testing.T) {
	q := newDeliveryQueue()
	var kept []*pendingDelivery
	for i := range 30 {
		d := &pendingDelivery{upload: fmt.Sprint(i), at: time.Now().Add(time.Hour)}
		q.keep(d, Upload{Record: Record{ID: d.upload}}, "a request", maxOriginBytes/10)
		if d.local != nil {
			kept = append(kept, d)
		}
		q.add(d)
	}
	if len(kept) != 9 { // each takes somewhat more than a tenth
		t.Errorf("%d of 30 are kept with their requests", len(kept))
	}
	for _, d := range kept {
		q.done(d)
	}
	if !q.memory.TryAcquire(maxOriginBytes) {
		t.Error("memory was not given back")
	}
}
