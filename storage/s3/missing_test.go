package s3

import (
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// A second short moment, long after the first, is no more believed than the first.
func TestF04PartsThatAreThereAgainAreNotMissingSinceTheFirstTime(t *testing.T) {
	n, s3 := startNode(t, bucket(t)), &hollow{}
	n.wire.next = s3
	c := begunOn(t, n)
	c.send(ranges.Of(0, 2*minPart))
	s3.on.Store(true)
	_ = c.sendOnce(ranges.Range{Start: 2 * minPart, End: threeCells})
	if len(n.store.missing) == 0 {
		t.Error("that parts are missing is not remembered")
	}
	s3.on.Store(false)
	n.wire.inject(fault{"complete", 1, fails})
	_, _ = n.Get(t.Context(), c.id)
	if len(n.store.missing) > 0 {
		t.Errorf("they are there, and remembered as missing: %v", n.store.missing)
	}
	c.goOn(n)
}
