package s3

import (
	"errors"
	"math"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestATooLargeSizeIsRefusedBeforeAnythingIsStored(t *testing.T) {
	n := startNode(t, bucket(t))
	for _, size := range []int64{layout.MaxSize + 1, math.MaxInt64} {
		if _, err := n.Create(t.Context(), storage.Record{Size: size}); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("create %d: %v, want ErrTooLarge", size, err)
		}
	}
	wantOnly(t, n.store)
	if _, err := n.Create(t.Context(), storage.Record{Size: layout.MaxSize}); err != nil {
		t.Errorf("create the largest: %v", err)
	}
	c := &phone{t: t, node: n, data: storagetest.Content(1, twoCells)}
	c.create(storage.Record{Size: storage.Unknown})
	c.send(ranges.Of(0, layout.MinPart))
	for _, size := range []int64{layout.GrowingCapacity(layout.MinPart) + 1, layout.MaxSize + 1, math.MaxInt64} {
		if _, err := n.SetSize(t.Context(), c.id, size); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("set size %d: %v, want ErrTooLarge", size, err)
		}
	}
	c.send(ranges.Range{Start: layout.MinPart, End: twoCells})
	c.declare()
	c.finish()
}
