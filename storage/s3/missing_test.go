package s3

import (
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// Parts that were missing, found again and are missing once more count as missing since the
// last time only, so that lostGrace begins again.
func TestF04PartsThatReappearAreNoLongerRecordedAsMissing(t *testing.T) {
	n, s3 := startNode(t, bucket(t)), &partlessS3{}
	n.wire.next = s3
	c := begunOn(t, n)
	c.send(ranges.Of(0, 2*layout.MinPart))
	s3.on.Store(true)
	_ = c.sendOnce(ranges.Range{Start: 2 * layout.MinPart, End: threeCells})
	if len(n.store.missing) == 0 {
		t.Error("missing parts were not recorded")
	}
	s3.on.Store(false)
	n.wire.inject(fault{"complete", 1, fails})
	_, _ = n.Get(t.Context(), c.id)
	if len(n.store.missing) > 0 {
		t.Errorf("the parts are there, but still recorded as missing: %v", n.store.missing)
	}
	c.goOn(n)
}
