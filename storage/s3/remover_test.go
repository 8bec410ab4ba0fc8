package s3

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// fakeClock is a clock that only moves when it is advanced.
type fakeClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *fakeClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

func recordingRemover() (r *remover, clock *fakeClock, removed *[]string) {
	clock, removed = &fakeClock{}, new([]string)
	return newRemover(func(_ context.Context, keys ...string) error {
		*removed = append(*removed, keys...)
		return nil
	}, clock.now, removeAfter), clock, removed
}

func TestF19ObjectsAreNotRemovedWhileAnEarlierListingMayBeUsed(t *testing.T) {
	r, clock, removed := recordingRemover()
	if r.after < 2*r.longestListing() {
		t.Errorf("objects are removed after %v, but listings may take %v", r.after, r.longestListing())
	}
	r.add("one", "a", "b")
	clock.advance(time.Second)
	r.add("two", "a", "c") // a is queued already
	clock.advance(removeAfter - 3*time.Second)
	for _, want := range [][]string{nil, {"a", "b"}, {"a", "b", "c"}, {"a", "b", "c"}} {
		clock.advance(time.Second)
		if err := r.removeDue(t.Context()); err != nil || !slices.Equal(*removed, want) {
			t.Errorf("removed %v, %v; want %v", *removed, err, want)
		}
	}
	if len(r.keys)+len(r.byUpload)+len(r.queue) > 0 {
		t.Error("the queue is not empty")
	}
}

func TestTakenKeysAreNotRemoved(t *testing.T) {
	r, clock, removed := recordingRemover()
	r.add("one", "a")
	r.add("two", "c")
	r.add("one", "b")
	if keys := r.take("one"); !slices.Equal(keys, []string{"a", "b"}) {
		t.Errorf("took %v", keys)
	}
	r.add("one", "b")
	clock.advance(removeAfter)
	if err := r.removeDue(t.Context()); err != nil || !slices.Equal(*removed, []string{"c", "b"}) {
		t.Errorf("removed %v, %v", *removed, err)
	}
	if len(r.keys)+len(r.byUpload)+len(r.queue) > 0 {
		t.Error("the queue is not empty")
	}
}

func TestARemoverRemembersABoundedNumberOfKeys(t *testing.T) {
	r, clock, removed := recordingRemover()
	for i := range maxNeedless + 10 {
		r.add("one", fmt.Sprint(i))
	}
	clock.advance(removeAfter)
	if err := r.removeDue(t.Context()); err != nil || len(*removed) != maxNeedless {
		t.Errorf("removed %d keys, %v; want %d", len(*removed), err, maxNeedless)
	}
	if r.add("one", "again"); len(r.take("one")) != 1 {
		t.Error("keys are not queued after a full queue was removed")
	}
}

func TestNeedlessObjectsOfAStoppedProcessAreRemovedByOthers(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := &phone{t: t, node: n, data: storagetest.Content(4, threeCells)}
	c.create(storage.Record{Size: threeCells})
	for at := int64(0); at < layout.MinPart; at += layout.MiB {
		c.send(ranges.Of(at, layout.MiB))
	}
	killed, other := len(n.store.needless.keys), startNode(t, opts)
	if _, err := other.Get(t.Context(), c.id); err != nil || killed == 0 {
		t.Errorf("%d needless fragments, %v", killed, err)
	}
	if found := len(other.store.needless.keys); found != killed {
		t.Errorf("another process found %d needless fragments, want %d", found, killed)
	}
	c.node = n
	c.send(ranges.Of(layout.MinPart, threeCells-layout.MinPart-100))
	n.store.needless.take(c.id) // the process stops
	last := startNode(t, opts)
	up := mustLoad(t, last, c.id)
	last.store.needless.take(c.id) // as if the state came from the cache
	if err := last.store.Write(t.Context(), up.Clone(), chunk(c.data, ranges.Range{Start: threeCells - 100, End: threeCells}),
		func(p storage.Extent) storage.Upload { up.Add(p); return up.Clone() }); err != nil {
		t.Fatal(err)
	}
	if _, err := last.store.Finish(t.Context(), up); err != nil {
		t.Fatal(err)
	}
	if err := last.store.MarkDelivered(t.Context(), up); err != nil {
		t.Fatal(err)
	}
	if keys, _ := leftIn(t, last.store); len(keys) < 2 {
		t.Errorf("no needless objects were left: %v", keys)
	}
	if err := startNode(t, opts).Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	wantOnly(t, last.store, c.id)
}
