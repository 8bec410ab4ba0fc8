package ranges

import (
	"slices"
	"sort"
	"strings"
)

// Set is a set of byte offsets, kept as sorted ranges that neither overlap nor
// touch. The zero Set is empty and ready to use. Copies share memory: use Clone for
// an independent copy. A Set is not safe for concurrent use.
type Set struct {
	r []Range
}

// NewSet returns the set of all offsets in rs, which may be in any order.
func NewSet(rs ...Range) Set {
	var s Set
	for _, r := range rs {
		s.Add(r)
	}
	return s
}

// Add adds the offsets of r to s. It panics if r is not Valid: callers must validate
// external input.
func (s *Set) Add(r Range) {
	mustBeValid(r)
	if r.Empty() {
		return
	}
	first, last := s.touching(r)
	if first < last {
		r.Start = min(r.Start, s.r[first].Start)
		r.End = max(r.End, s.r[last-1].End)
	}
	s.r = slices.Replace(s.r, first, last, r)
}

// AddSet adds all offsets of o to s.
func (s *Set) AddSet(o Set) {
	for _, r := range o.r {
		s.Add(r)
	}
}

// Remove removes the offsets of r from s. It panics if r is not Valid.
func (s *Set) Remove(r Range) {
	mustBeValid(r)
	if r.Empty() {
		return
	}
	first, last := s.overlapping(r)
	if first == last {
		return
	}
	var rest []Range
	if left := (Range{s.r[first].Start, r.Start}); !left.Empty() {
		rest = append(rest, left)
	}
	if right := (Range{r.End, s.r[last-1].End}); !right.Empty() {
		rest = append(rest, right)
	}
	s.r = slices.Replace(s.r, first, last, rest...)
}

// Contains reports whether every offset of r is in s. It is true for an empty range.
func (s Set) Contains(r Range) bool {
	if r.Empty() {
		return true
	}
	i := s.search(r.Start)
	return i < len(s.r) && s.r[i].Start <= r.Start && r.End <= s.r[i].End
}

// Within returns the part of s that lies in r.
func (s Set) Within(r Range) Set {
	if r.Empty() {
		return Set{}
	}
	first, last := s.overlapping(r)
	out := slices.Clone(s.r[first:last])
	if len(out) > 0 {
		out[0].Start = max(out[0].Start, r.Start)
		out[len(out)-1].End = min(out[len(out)-1].End, r.End)
	}
	return Set{out}
}

// Missing returns the part of r that is not in s.
func (s Set) Missing(r Range) Set {
	if r.Empty() {
		return Set{}
	}
	missing := Set{[]Range{r}}
	first, last := s.overlapping(r)
	for _, have := range s.r[first:last] {
		missing.Remove(have)
	}
	return missing
}

// Minus returns the part of s that is not in o.
func (s Set) Minus(o Set) Set {
	var out Set
	for _, r := range s.r {
		out.r = append(out.r, o.Missing(r).r...)
	}
	return out
}

// Prefix returns the number of contiguous bytes from offset 0 on: the Upload-Offset of
// tus.
func (s Set) Prefix() int64 {
	if len(s.r) == 0 || s.r[0].Start != 0 {
		return 0
	}
	return s.r[0].End
}

// End returns the offset after the last one in s, 0 if s is empty.
func (s Set) End() int64 {
	if len(s.r) == 0 {
		return 0
	}
	return s.r[len(s.r)-1].End
}

// Bytes returns the number of offsets in s.
func (s Set) Bytes() int64 {
	var n int64
	for _, r := range s.r {
		n += r.Len()
	}
	return n
}

// Count returns the number of contiguous ranges in s.
func (s Set) Count() int { return len(s.r) }

// Empty reports whether s contains no offsets.
func (s Set) Empty() bool { return len(s.r) == 0 }

// Ranges returns the contiguous ranges of s in ascending order. The caller must not
// change the slice.
func (s Set) Ranges() []Range { return s.r }

// Clone returns an independent copy of s.
func (s Set) Clone() Set { return Set{slices.Clone(s.r)} }

// Equal reports whether s and o contain the same offsets.
func (s Set) Equal(o Set) bool { return slices.Equal(s.r, o.r) }

// String formats the ranges as Range.String does, separated by commas.
func (s Set) String() string {
	parts := make([]string, len(s.r))
	for i, r := range s.r {
		parts[i] = r.String()
	}
	return strings.Join(parts, ",")
}

// search returns the index of the first range that ends after offset o.
func (s Set) search(o int64) int {
	return sort.Search(len(s.r), func(i int) bool { return s.r[i].End > o })
}

// overlapping returns the indices [first, last) of the ranges that overlap r.
func (s Set) overlapping(r Range) (first, last int) {
	first = s.search(r.Start)
	last = first + sort.Search(len(s.r)-first, func(i int) bool { return s.r[first+i].Start >= r.End })
	return first, last
}

// touching returns the indices [first, last) of the ranges that overlap r or are
// adjacent to it.
func (s Set) touching(r Range) (first, last int) {
	first = sort.Search(len(s.r), func(i int) bool { return s.r[i].End >= r.Start })
	last = first + sort.Search(len(s.r)-first, func(i int) bool { return s.r[first+i].Start > r.End })
	return first, last
}

func mustBeValid(r Range) {
	if !r.Valid() {
		panic("ranges: invalid range: negative, or it ends before its start")
	}
}
