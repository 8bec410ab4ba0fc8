package disk

import (
	"iter"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// sums are the checksums of disjoint ranges. Adjacent ranges are merged. A copy is a snapshot.
type sums struct{ m ranges.Map[crc32c.Sum] }

type rangeSum struct {
	ranges.Range
	crc crc32c.Sum
}

// add adds the checksum of a range. It replaces those of ranges within it. It is ignored if
// it partly overlaps another range, because a checksum cannot be split.
func (s *sums) add(r ranges.Range, crc crc32c.Sum) {
	if r.Empty() {
		return
	}
	next := *s
	for k := range s.m.Overlapping(r) {
		if k.Start < r.Start || k.End > r.End {
			return
		}
		next.m.Delete(k)
	}
	added := rangeSum{r, crc}
	if before := next.take(ranges.Range{Start: r.Start - 1, End: r.Start}); !before.Empty() {
		added = before.followedBy(added)
	}
	if after := next.take(ranges.Of(r.End, 1)); !after.Empty() {
		added = added.followedBy(after)
	}
	next.m.Put(ranges.Key{Range: added.Range}, added.crc)
	*s = next
}

// take removes and returns the range that overlaps r, if there is one.
func (s *sums) take(r ranges.Range) (taken rangeSum) {
	for k, crc := range s.m.Overlapping(r) {
		taken = rangeSum{k.Range, crc}
		s.m.Delete(k)
		break
	}
	return taken
}

func (s *sums) addAll(o sums) {
	for r := range o.all() {
		s.add(r.Range, r.crc)
	}
}

// all yields the ranges and their checksums in ascending order.
func (s sums) all() iter.Seq[rangeSum] {
	return func(yield func(rangeSum) bool) {
		for k, crc := range s.m.All() {
			if !yield(rangeSum{k.Range, crc}) {
				return
			}
		}
	}
}

func (a rangeSum) followedBy(b rangeSum) rangeSum {
	return rangeSum{ranges.Range{Start: a.Start, End: b.End}, a.crc.Join(b.crc, b.Len())}
}

// of returns the checksum of the first size bytes, if it is known.
func (s sums) of(size int64) (crc crc32c.Sum, ok bool) {
	if size == 0 {
		return 0, true
	}
	return s.m.Get(ranges.Key{Range: ranges.Range{End: size}})
}

// complete adds the missing checksums up to size, which it gets from read.
func (s *sums) complete(size int64, read func(ranges.Range) (crc32c.Sum, error)) error {
	var known ranges.Set
	for r := range s.all() {
		if r.End > size {
			s.m.Delete(ranges.Key{Range: r.Range})
		} else {
			known.Add(r.Range)
		}
	}
	for r := range known.Gaps(ranges.Range{End: size}) {
		crc, err := read(r)
		if err != nil {
			return err
		}
		s.add(r, crc)
	}
	return nil
}
