package ranges

import (
	"slices"
	"sort"
	"strings"
)

// Set is a set of byte offsets, kept as sorted ranges that neither overlap nor
// touch. The zero Set is empty and ready to use. Copies share memory: use Clone
// to keep one while the other changes. A Set is not safe for concurrent use.
type Set struct {
	r []Range
}

// NewSet is the set of all offsets in rs, in whatever order they come.
func NewSet(rs ...Range) Set {
	var s Set
	for _, r := range rs {
		s.Add(r)
	}
	return s
}

// Add puts the offsets of r into s. It panics if r is not Valid: callers check
// what comes from outside before it gets here.
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

// AddSet puts all offsets of o into s.
func (s *Set) AddSet(o Set) {
	for _, r := range o.r {
		s.Add(r)
	}
}

// Remove takes the offsets of r out of s. It panics if r is not Valid.
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

// Contains tells whether every offset of r is in s. An empty range is.
func (s Set) Contains(r Range) bool {
	if r.Empty() {
		return true
	}
	i := s.search(r.Start)
	return i < len(s.r) && s.r[i].Start <= r.Start && r.End <= s.r[i].End
}

// Within is the part of s that lies in r.
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

// Missing is the part of r that is not in s, in ascending order.
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

// Minus is the part of s that is not in o.
func (s Set) Minus(o Set) Set {
	var out Set
	for _, r := range s.r {
		out.r = append(out.r, o.Missing(r).r...)
	}
	return out
}

// Prefix is the end of the first unbroken range, the number of bytes that are
// there from offset 0 on: what tus calls Upload-Offset.
func (s Set) Prefix() int64 {
	if len(s.r) == 0 || s.r[0].Start != 0 {
		return 0
	}
	return s.r[0].End
}

// End is the offset after the last one in s, 0 if s is empty.
func (s Set) End() int64 {
	if len(s.r) == 0 {
		return 0
	}
	return s.r[len(s.r)-1].End
}

// Bytes is the number of offsets in s.
func (s Set) Bytes() int64 {
	var n int64
	for _, r := range s.r {
		n += r.Len()
	}
	return n
}

// Count is the number of unbroken ranges in s.
func (s Set) Count() int { return len(s.r) }

// Empty tells whether s holds no offset.
func (s Set) Empty() bool { return len(s.r) == 0 }

// Ranges are the unbroken ranges of s in ascending order. The caller must not
// change the slice.
func (s Set) Ranges() []Range { return s.r }

// Clone is a copy of s that shares nothing with it.
func (s Set) Clone() Set { return Set{slices.Clone(s.r)} }

// Equal tells whether s and o hold the same offsets.
func (s Set) Equal(o Set) bool { return slices.Equal(s.r, o.r) }

// String lists the ranges as Range.String does, separated by commas.
func (s Set) String() string {
	parts := make([]string, len(s.r))
	for i, r := range s.r {
		parts[i] = r.String()
	}
	return strings.Join(parts, ",")
}

// search is the index of the first range that ends after offset o.
func (s Set) search(o int64) int {
	return sort.Search(len(s.r), func(i int) bool { return s.r[i].End > o })
}

// overlapping are the indices [first, last) of the ranges that share an offset with r.
func (s Set) overlapping(r Range) (first, last int) {
	first = s.search(r.Start)
	last = first + sort.Search(len(s.r)-first, func(i int) bool { return s.r[first+i].Start >= r.End })
	return first, last
}

// touching are the indices [first, last) of the ranges that share an offset
// with r or lie directly beside it.
func (s Set) touching(r Range) (first, last int) {
	first = sort.Search(len(s.r), func(i int) bool { return s.r[i].End >= r.Start })
	last = first + sort.Search(len(s.r)-first, func(i int) bool { return s.r[first+i].Start > r.End })
	return first, last
}

func mustBeValid(r Range) {
	if !r.Valid() {
		panic("ranges: a range that runs backwards or below zero")
	}
}
