package storage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// notified records in which order the app acknowledges deliveries and is notified of deletions.
type notified struct {
	attempts
	calls []string
}

type originKey struct{}

func (n *notified) Origin(ctx context.Context) (any, int) { return ctx.Value(originKey{}), 10 }

func (n *notified) Deliver(ctx context.Context, d storage.Delivery) error {
	err := n.attempts.Deliver(ctx, d)
	if err == nil {
		n.add("delivered")
	}
	return err
}

func (n *notified) Deleted(_ context.Context, _ storage.Upload, origin any) {
	n.add(fmt.Sprint("deleted by ", origin))
}

func (n *notified) add(call string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = append(n.calls, call)
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
		if err := u.Delete(context.WithValue(t.Context(), originKey{}, "a request"), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		n.mu.Lock()
		n.err = nil
		n.mu.Unlock()
		time.Sleep(time.Hour)
		stop()
		if want := []string{"delivered", "deleted by a request"}; !slices.Equal(n.calls, want) {
			t.Errorf("%q, want %q", n.calls, want)
		}
	})
}

func TestRedeliveryNeedsADeliverer(t *testing.T) {
	w := newWorld(t, storage.Options{})
	if err := w.uploads.Redeliver(w.ctx, "it"); !errors.Is(err, storage.ErrNoDeliverer) {
		t.Errorf("redeliver: %v", err)
	}
}
