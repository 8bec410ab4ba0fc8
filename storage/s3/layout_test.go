package s3

import (
	"errors"
	"math"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestPartSizeFitsTheChunksOfTheClient(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name              string
		size, chunk, slot int64
	}{
		{"50 MiB chunks", gib, 50 * mib, 25 * mib},
		{"64 MiB chunks", gib, 64 * mib, 16 * mib},
		{"1 MiB chunks", gib, 1 * mib, 16 * mib},
		{"6 MiB chunks", gib, 6 * mib, 18 * mib},
		{"5 MB chunks", gib, 5_000_000, 20_000_000},
		{"a chunk of a prime length", gib, 20*mib + 7, 20*mib + 7},
		{"one whole body", gib, gib, 16 * mib},
		{"no length", gib, storage.Unknown, 16 * mib},
		{"5 TiB fit 10,000 parts", 5 << 40, 50 * mib, 525 * mib},
		{"48 TiB in chunks that do not divide a part", maxSize, 5_000_000, maxPart},
		{"48 TiB in 50 MiB chunks", maxSize, 50 * mib, maxPart},
		{"unknown size", storage.Unknown, 50 * mib, 16 * mib},
	} {
		got := choose(targetPartSize, c.size, c.chunk)
		if got.PartSize != c.slot || got.Grows != (c.size == storage.Unknown) {
			t.Errorf("%s: %+v, want %d", c.name, got, c.slot)
		}
		if got.PartSize > maxPart {
			t.Errorf("%s: parts of %d bytes", c.name, got.PartSize)
		}
		if !got.Grows && (c.size+got.PartSize-1)/got.PartSize > maxParts {
			t.Errorf("%s: %d parts", c.name, (c.size+got.PartSize-1)/got.PartSize)
		}
	}
}

// F9: every layout has at most 10,000 parts, and no byte is in two.
func TestF09PartsCoverEveryOffsetOnceIn10000Parts(t *testing.T) {
	growing := layout{PartSize: targetPartSize, Grows: true}
	for l, end := range map[layout]int64{{PartSize: 25 * mib}: 10_000 * 25 * mib, growing: 5 << 40} {
		var number int32
		for offset := int64(0); offset < end; {
			n, r := l.slot(offset, storage.Unknown)
			if n != number+1 || r.Start != offset || r.Len() < minPart || n > maxParts {
				t.Fatalf("part %d of %+v: number %d, %v", number+1, l, n, r)
			}
			if last, same := l.slot(r.End-1, storage.Unknown); last != n || same != r {
				t.Fatalf("the last byte of part %d is in %d", n, last)
			}
			if same, ok := l.at(n, storage.Unknown); !ok || same != r {
				t.Fatalf("part %d is %v by its number, %v by its offset", n, same, r)
			}
			number, offset = n, r.End
		}
	}
	if _, r := growing.slot(math.MaxInt64-1, storage.Unknown); !r.Valid() {
		t.Errorf("the highest offset is in %v", r)
	}
}

func TestLastPartEndsWithTheUpload(t *testing.T) {
	if n, r := (layout{PartSize: 25 * mib}).slot(1000*mib, 1001*mib); n != 41 || r.End != 1001*mib {
		t.Errorf("%d %v", n, r)
	}
}

func TestATooLargeSizeIsRefusedBeforeAnythingIsStored(t *testing.T) {
	n := startNode(t, bucket(t))
	for _, size := range []int64{maxSize + 1, math.MaxInt64} {
		if _, err := n.Create(t.Context(), storage.Record{Size: size}); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("create %d: %v, want ErrTooLarge", size, err)
		}
	}
	wantOnly(t, n.store)
	if _, err := n.Create(t.Context(), storage.Record{Size: maxSize}); err != nil {
		t.Errorf("create the largest: %v", err)
	}
	c := &phone{t: t, node: n, data: storagetest.Content(1, twoCells)}
	c.create(storage.Record{Size: storage.Unknown})
	c.send(ranges.Of(0, minPart))
	for _, size := range []int64{growingCapacity(minPart) + 1, maxSize + 1, math.MaxInt64} {
		if _, err := n.SetSize(t.Context(), c.id, size); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("set size %d: %v, want ErrTooLarge", size, err)
		}
	}
	c.send(ranges.Range{Start: minPart, End: twoCells})
	c.declare()
	c.finish()
}

func TestGrowingPartsHoldTheLargestSizeThatMayBeSet(t *testing.T) {
	growing := layout{PartSize: targetPartSize, Grows: true}
	size := growingCapacity(growing.PartSize)
	if n, r := growing.slot(size-1, storage.Unknown); n != maxParts || r.End != size || r.Len() > maxPart {
		t.Errorf("the last byte is in part %d, %v", n, r)
	}
}
