package ranges

import (
	"iter"
	"slices"
	"strings"
)

// Set is a set of byte offsets, kept as sorted ranges that neither overlap nor
// touch. The zero Set is empty and ready to use. A copy is a snapshot: it does not change
// with the Set. A Set is not safe for concurrent use, but its copies are independent.
//
// Except where the comments say otherwise, the methods take time that grows with the
// logarithm of the number of ranges.
type Set struct{ root *node[struct{}] }

// NewSet returns the set of all offsets in rs, which may be in any order.
func NewSet(rs ...Range) Set {
	var s Set
	for _, r := range rs {
		s.Add(r)
	}
	return s
}

// from is the lowest key of a range that starts at offset or later.
func from(offset int64) Key { return Key{Range: Range{Start: offset}} }

// Add adds the offsets of r to s. It panics if r is not Valid: callers must validate
// external input.
func (s *Set) Add(r Range) {
	mustBeValid(r)
	if r.Empty() {
		return
	}
	below, rest := split(s.root, from(r.Start))
	if last := below.last(); last != nil && last.End >= r.Start {
		r = Range{last.Start, max(r.End, last.End)}
		below, _ = split(below, last.Key)
	}
	if r.End == Max {
		rest = nil
	} else {
		var touching *node[struct{}]
		touching, rest = split(rest, from(r.End+1))
		if touching != nil {
			r.End = max(r.End, touching.maxEnd)
		}
	}
	s.root = join(join(below, leaf(Key{Range: r}, struct{}{})), rest)
}

// AddSet adds all offsets of o to s. It visits all ranges of o.
func (s *Set) AddSet(o Set) {
	if s.Empty() {
		*s = o
		return
	}
	for r := range o.All() {
		s.Add(r)
	}
}

// Remove removes the offsets of r from s. It panics if r is not Valid.
func (s *Set) Remove(r Range) {
	mustBeValid(r)
	if r.Empty() {
		return
	}
	below, rest := split(s.root, from(r.Start))
	removed, above := split(rest, from(r.End))
	left, right := Set{below}, Set{above}
	if l := below.last(); l != nil && l.End > r.Start {
		left.cut(l.Key, Range{l.Start, r.Start})
	}
	if l := join(below, removed).last(); l != nil && l.End > r.End {
		right.root = join(leaf(Key{Range: Range{r.End, l.End}}, struct{}{}), right.root)
	}
	s.root = join(left.root, right.root)
}

// cut replaces the last range of s.
func (s *Set) cut(last Key, r Range) {
	below, _ := split(s.root, last)
	s.root = join(below, leaf(Key{Range: r}, struct{}{}))
}

// Contains reports whether every offset of r is in s. It is true for an empty range.
func (s Set) Contains(r Range) bool {
	if r.Empty() {
		return true
	}
	at := s.At(r.Start)
	return !at.Empty() && r.End <= at.End
}

// At returns the contiguous range of s that holds the offset, or an empty one.
func (s Set) At(offset int64) Range {
	n, found := s.root, Range{}
	for n != nil {
		if n.Start > offset {
			n = n.left
		} else {
			found, n = n.Range, n.right
		}
	}
	if found.End <= offset {
		return Range{}
	}
	return found
}

// Within returns the part of s that lies in r.
func (s Set) Within(r Range) Set {
	if r.Empty() {
		return Set{}
	}
	below, rest := split(s.root, from(r.Start))
	inside, _ := split(rest, from(r.End))
	out := Set{inside}
	if last := inside.last(); last != nil && last.End > r.End {
		out.cut(last.Key, Range{last.Start, r.End})
	}
	if last := below.last(); last != nil && last.End > r.Start {
		out.root = join(leaf(Key{Range: Range{r.Start, min(last.End, r.End)}}, struct{}{}), out.root)
	}
	return out
}

// Missing returns the part of r that is not in s. It visits all ranges in r.
func (s Set) Missing(r Range) Set {
	var missing Set
	for gap := range s.Gaps(r) {
		missing.root = join(missing.root, leaf(Key{Range: gap}, struct{}{}))
	}
	return missing
}

// Gaps yields the contiguous ranges of Missing, in ascending order.
func (s Set) Gaps(r Range) iter.Seq[Range] {
	return func(yield func(Range) bool) {
		at := r.Start
		more := s.root.overlapping(r, func(n *node[struct{}]) bool {
			gap := Range{at, n.Start}
			at = n.End
			return gap.Empty() || yield(gap)
		})
		if rest := (Range{at, r.End}); more && !rest.Empty() {
			yield(rest)
		}
	}
}

// Minus returns the part of s that is not in o. It visits all ranges of s, and those of o
// in them.
func (s Set) Minus(o Set) Set {
	var out Set
	for r := range s.All() {
		out.root = join(out.root, o.Missing(r).root)
	}
	return out
}

// Prefix returns the number of contiguous bytes from offset 0 on: the Upload-Offset of
// tus.
func (s Set) Prefix() int64 {
	if first := s.root.first(); first != nil && first.Start == 0 {
		return first.End
	}
	return 0
}

// First returns the first contiguous range of s, an empty one if s is empty.
func (s Set) First() Range {
	if first := s.root.first(); first != nil {
		return first.Range
	}
	return Range{}
}

// End returns the offset after the last one in s, 0 if s is empty.
func (s Set) End() int64 {
	if s.root == nil {
		return 0
	}
	return s.root.maxEnd
}

// Bytes returns the number of offsets in s.
func (s Set) Bytes() int64 {
	if s.root == nil {
		return 0
	}
	return s.root.bytes
}

// Count returns the number of contiguous ranges in s.
func (s Set) Count() int { return s.root.len() }

// Empty reports whether s contains no offsets.
func (s Set) Empty() bool { return s.root == nil }

// All yields the contiguous ranges of s in ascending order.
func (s Set) All() iter.Seq[Range] {
	return func(yield func(Range) bool) {
		s.root.visit(func(n *node[struct{}]) bool { return yield(n.Range) })
	}
}

// Ranges returns the contiguous ranges of s in ascending order, in a new slice.
func (s Set) Ranges() []Range {
	return slices.AppendSeq(make([]Range, 0, s.Count()), s.All())
}

// Clone returns an independent copy of s, in constant time.
func (s Set) Clone() Set { return s }

// Equal reports whether s and o contain the same offsets. It visits all ranges.
func (s Set) Equal(o Set) bool {
	return s.root == o.root || s.Count() == o.Count() && s.Bytes() == o.Bytes() && slices.Equal(s.Ranges(), o.Ranges())
}

// String formats the ranges as Range.String does, separated by commas.
func (s Set) String() string {
	parts := make([]string, 0, s.Count())
	for r := range s.All() {
		parts = append(parts, r.String())
	}
	return strings.Join(parts, ",")
}

func mustBeValid(r Range) {
	if !r.Valid() {
		panic("ranges: invalid range: negative, or it ends before its start")
	}
}
