package disk

import (
	"slices"
	"sort"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// sums are the checksums of disjoint ranges, sorted by offset. Adjacent ranges are merged.
type sums []rangeSum

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
	from := sort.Search(len(*s), func(i int) bool { return (*s)[i].End > r.Start })
	to := from
	for ; to < len(*s) && (*s)[to].Start < r.End; to++ {
		if (*s)[to].Start < r.Start || (*s)[to].End > r.End {
			return
		}
	}
	added := rangeSum{r, crc}
	if from > 0 && (*s)[from-1].End == r.Start {
		from--
		added = (*s)[from].followedBy(added)
	}
	if to < len(*s) && (*s)[to].Start == r.End {
		added = added.followedBy((*s)[to])
		to++
	}
	*s = slices.Replace(*s, from, to, added)
}

func (s *sums) addAll(o sums) {
	for _, r := range o {
		s.add(r.Range, r.crc)
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
	if len(s) == 0 || s[0].Range != (ranges.Range{End: size}) {
		return 0, false
	}
	return s[0].crc, true
}

// complete adds the missing checksums up to size, which it gets from read.
func (s *sums) complete(size int64, read func(ranges.Range) (crc32c.Sum, error)) error {
	known := ranges.Set{}
	*s = slices.DeleteFunc(*s, func(r rangeSum) bool { return r.End > size })
	for _, r := range *s {
		known.Add(r.Range)
	}
	missing := known.Missing(ranges.Range{End: size})
	for _, r := range missing.Ranges() {
		crc, err := read(r)
		if err != nil {
			return err
		}
		s.add(r, crc)
	}
	return nil
}
