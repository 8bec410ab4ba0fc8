package storage_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// attempts records the calls of a Deliverer.
type attempts struct {
	mu        sync.Mutex
	err       error
	at        []time.Time
	delivered []storage.Delivery
}

func (a *attempts) Deliver(_ context.Context, d storage.Delivery) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at, a.delivered = append(a.at, time.Now()), append(a.delivered, d)
	return a.err
}

// startOutbox returns the core of a process that delivers, and a function that stops it.
func startOutbox(t *testing.T, store storage.Store, d storage.Deliverer) (*storage.Uploads, func()) {
	u := storage.New(store, &storage.MemoryLocker{}, &storage.MemoryCache{}, storage.Options{Log: discardLogger, Delivery: storage.DeliveryOptions{Deliverer: d}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); u.RunDeliveries(ctx) }()
	return u, func() { stop(); <-ended }
}

// A node's clock may differ from the store's. Attempts are scheduled by the store's time,
// so that all nodes compute the same ones.
func TestAttemptsFollowTheClockOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storagetest.NewMemory(1 << 20)
		up, err := storage.New(memory, &storage.MemoryLocker{}, &storage.MemoryCache{}, storage.Options{Log: discardLogger, Delivery: storagetest.NoDelivery}).
			Create(t.Context(), storage.Record{ID: "a", Size: 0})
		if err != nil {
			t.Fatal(err)
		}
		occurred := up.ModifiedAt
		up.ModifiedAt = occurred.Add(2 * time.Second)
		a := &attempts{err: errors.New("down")}
		u, stop := startOutbox(t, memory, a)
		u.Enqueue(t.Context(), storage.Event{ID: "a.finished", Upload: up, Local: true})
		time.Sleep(time.Hour)
		stop()
		if len(a.at) < 8 {
			t.Fatalf("%d attempts", len(a.at))
		}
		for i, at := range a.at[2:] { // the first two are made before the store is asked
			if want := storage.ScheduledAt("a.finished", occurred, int64(i+2)); !at.Equal(want) {
				t.Errorf("attempt %d is made %v after the finish, want %v", i+2, at.Sub(occurred), want.Sub(occurred))
			}
		}
	})
}

// A Go function is called like the webhook: until it returns nil, through crashes,
// always with the same id.
func TestADelivererIsCalledUntilItAcknowledges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storagetest.NewMemory(1 << 20)
		a := &attempts{err: errors.New("not yet")}
		u, stop := startOutbox(t, memory, a)
		if _, err := u.Create(t.Context(), storage.Record{ID: "a", Size: 0}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		stop()
		failed := len(a.at)
		if s := u.DeliveryStats(); failed < 2 || s.Failed != int64(failed) || s.Pending != 1 {
			t.Errorf("%d attempts, %+v", failed, s)
		}
		memory, a.err = memory.Restart(), nil
		u, stop = startOutbox(t, memory, a)
		if err := u.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(48 * time.Hour)
		stop()
		if s := u.DeliveryStats(); len(a.at) != failed+1 || s.Delivered != 1 || s.Pending != 0 {
			t.Errorf("%d more attempts, %+v", len(a.at)-failed, s)
		}
		for _, d := range a.delivered {
			if d.ID != "a.finished" || !d.Upload.Finished {
				t.Errorf("delivered %+v", d)
			}
		}
		if err := u.Redeliver(t.Context(), "a"); !errors.Is(err, storage.ErrNotPending) {
			t.Errorf("redeliver: %v", err)
		}
	})
}

// notified is a Deliverer that is notified of deletions too.
type notified struct {
	attempts
	deleted []any // the origins, nil if the event was not delivered before
}

type originKey struct{}

func (n *notified) Origin(ctx context.Context) (any, int) { return ctx.Value(originKey{}), 10 }

func (n *notified) Deleted(_ context.Context, _ storage.Upload, origin any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err != nil {
		origin = nil
	}
	n.deleted = append(n.deleted, origin)
}

// The app receives both events in order: that an upload is finished, and that it is deleted.
func TestADeletionIsNotifiedOnceTheDeliveryIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notified{attempts: attempts{err: errors.New("down")}}
		u, stop := startOutbox(t, storagetest.NewMemory(1<<20), n)
		if _, err := u.Create(t.Context(), storage.Record{ID: "a", Size: 0}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := u.Delete(context.WithValue(t.Context(), originKey{}, "the deletion"), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		n.mu.Lock()
		if len(n.deleted) != 0 {
			t.Errorf("notified of the deletion before the delivery is done: %v", n.deleted)
		}
		n.err = nil
		n.mu.Unlock()
		time.Sleep(time.Hour)
		stop()
		if len(n.deleted) != 1 || n.deleted[0] != "the deletion" {
			t.Errorf("notified of deletions with the origins %v, want one", n.deleted)
		}
	})
}

func TestRedeliveryNeedsADeliverer(t *testing.T) {
	w := newWorld(t, storage.Options{})
	if err := w.uploads.Redeliver(w.ctx, "it"); !errors.Is(err, storage.ErrNoDeliverer) {
		t.Errorf("redeliver: %v", err)
	}
}
