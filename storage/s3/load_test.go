package s3

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// inFragments returns an upload of which only fragments of a hundred bytes are stored.
func inFragments(t *testing.T, n *node, count int64) *phone {
	t.Helper()
	c := &phone{t: t, node: n, data: storagetest.Content(4, layout.MinPart)}
	c.create(storage.Record{Size: layout.MinPart})
	for i := range count {
		c.send(ranges.Of(i*100, 100))
	}
	return c
}

// mergeFragments merges all fragments in r into one, like a node that writes to the upload.
func (c *phone) mergeFragments(r ranges.Range) {
	c.t.Helper()
	up, err := c.node.store.Load(c.t.Context(), c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	w := &writer{store: c.node.store, id: c.id, active: c.node.store.active.join(up), up: up, onStored: func(storage.Extent) storage.Upload { return up }}
	w.coalesce(c.t.Context(), r, ranges.Set{}, pending{buffer: &buffer{budget: c.node.store.budget}})
}

// A listing of several pages is no snapshot: another node may put a merged fragment on a
// page that was already read, and remove its sources from a page that was not.
func TestFragmentsMergedBetweenTwoPagesOfAListingAreFound(t *testing.T) {
	opts := bucket(t)
	for nth := 1; nth <= 6; nth++ {
		c := inFragments(t, startNode(t, opts), 8)
		other := startNode(t, opts)
		other.store.client.PageSize = aws.Int32(4)
		other.wire.before = func(op string, n int) {
			if op == "list" && n == nth {
				c.mergeFragments(ranges.Of(200, 600))
			}
		}
		if up, err := other.store.Load(t.Context(), c.id); err != nil || up.Offset() != 800 {
			t.Errorf("before page %d: offset %d, %v; want 800", nth, up.Offset(), err)
		}
	}
}

// The pages of a slow listing may be inconsistent.
func TestASlowListingIsRepeated(t *testing.T) {
	opts := bucket(t)
	c := inFragments(t, startNode(t, opts), 2)
	clock := &fakeClock{}
	opts.now = clock.now
	for slow, want := range map[int]bool{0: true, 4: true, 5: false} {
		other := startNode(t, opts)
		other.store.client.PageSize = aws.Int32(2)
		other.wire.before = func(op string, n int) {
			if op == "list" && n%2 == 0 && n <= 2*slow { // the second page of three objects
				clock.advance(removeAfter/2 + 1)
			}
		}
		up, err := other.store.Load(t.Context(), c.id)
		if want && (err != nil || up.Offset() != 200) {
			t.Errorf("after %d slow listings: offset %d, %v", slow, up.Offset(), err)
		}
		if !want && !storage.Transient(err) {
			t.Errorf("after %d slow listings: %v, want a transient error", slow, err)
		}
	}
}
