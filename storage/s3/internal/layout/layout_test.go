package layout

import (
	"math"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
)

func TestPartSizeFitsTheChunksOfTheClient(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name              string
		size, chunk, slot int64
	}{
		{"50 MiB chunks", gib, 50 * MiB, 25 * MiB},
		{"64 MiB chunks", gib, 64 * MiB, 16 * MiB},
		{"1 MiB chunks", gib, 1 * MiB, 16 * MiB},
		{"6 MiB chunks", gib, 6 * MiB, 18 * MiB},
		{"5 MB chunks", gib, 5_000_000, 20_000_000},
		{"a chunk of a prime length", gib, 20*MiB + 7, 20*MiB + 7},
		{"one whole body", gib, gib, 16 * MiB},
		{"no length", gib, storage.Unknown, 16 * MiB},
		{"5 TiB fit 10,000 parts", 5 << 40, 50 * MiB, 525 * MiB},
		{"48 TiB in chunks that do not divide a part", MaxSize, 5_000_000, MaxPart},
		{"48 TiB in 50 MiB chunks", MaxSize, 50 * MiB, MaxPart},
		{"unknown size", storage.Unknown, 50 * MiB, 16 * MiB},
	} {
		got := Choose(TargetPartSize, c.size, c.chunk)
		if got.PartSize != c.slot || got.Grows != (c.size == storage.Unknown) {
			t.Errorf("%s: %+v, want %d", c.name, got, c.slot)
		}
		if got.PartSize > MaxPart {
			t.Errorf("%s: parts of %d bytes", c.name, got.PartSize)
		}
		if !got.Grows && (c.size+got.PartSize-1)/got.PartSize > MaxParts {
			t.Errorf("%s: %d parts", c.name, (c.size+got.PartSize-1)/got.PartSize)
		}
	}
}

// F9: every layout has at most 10,000 parts, and no byte is in two.
func TestF09PartsCoverEveryOffsetOnceIn10000Parts(t *testing.T) {
	growing := Layout{PartSize: TargetPartSize, Grows: true}
	for l, end := range map[Layout]int64{{PartSize: 25 * MiB}: 10_000 * 25 * MiB, growing: 5 << 40} {
		var number int32
		for offset := int64(0); offset < end; {
			n, r := l.Slot(offset, storage.Unknown)
			if n != number+1 || r.Start != offset || r.Len() < MinPart || n > MaxParts {
				t.Fatalf("part %d of %+v: number %d, %v", number+1, l, n, r)
			}
			if last, same := l.Slot(r.End-1, storage.Unknown); last != n || same != r {
				t.Fatalf("the last byte of part %d is in %d", n, last)
			}
			if same, ok := l.at(n, storage.Unknown); !ok || same != r {
				t.Fatalf("part %d is %v by its number, %v by its offset", n, same, r)
			}
			number, offset = n, r.End
		}
	}
	if _, r := growing.Slot(math.MaxInt64-1, storage.Unknown); !r.Valid() {
		t.Errorf("the highest offset is in %v", r)
	}
}

func TestLastPartEndsWithTheUpload(t *testing.T) {
	if n, r := (Layout{PartSize: 25 * MiB}).Slot(1000*MiB, 1001*MiB); n != 41 || r.End != 1001*MiB {
		t.Errorf("%d %v", n, r)
	}
}

func TestGrowingPartsHoldTheLargestSizeThatMayBeSet(t *testing.T) {
	growing := Layout{PartSize: TargetPartSize, Grows: true}
	size := GrowingCapacity(growing.PartSize)
	if n, r := growing.Slot(size-1, storage.Unknown); n != MaxParts || r.End != size || r.Len() > MaxPart {
		t.Errorf("the last byte is in part %d, %v", n, r)
	}
}
