// Package ranges is the arithmetic of received bytes: half-open ranges of
// offsets and the set that they form.
//
// It does no I/O. Offsets are int64 from 0 to math.MaxInt64, in bytes; a range
// [Start, End) holds the offsets Start ≤ o < End, so that its length never
// overflows and an End of math.MaxInt64 is as good as any other.
package ranges

import (
	"fmt"
	"math"
)

// Max is the largest offset that an End may have.
const Max = math.MaxInt64

// Range is the half-open range [Start, End) of byte offsets.
type Range struct {
	Start, End int64
}

// Of is the range of n bytes from offset start. An end beyond Max is cut to Max.
func Of(start, n int64) Range {
	if n > Max-start {
		return Range{start, Max}
	}
	return Range{start, start + n}
}

// Len is the number of bytes in r, 0 if r is empty.
func (r Range) Len() int64 {
	if r.Empty() {
		return 0
	}
	return r.End - r.Start
}

// Empty tells whether r holds no byte.
func (r Range) Empty() bool { return r.End <= r.Start }

// Valid tells whether r lies within 0 … Max and does not run backwards.
func (r Range) Valid() bool { return r.Start >= 0 && r.End >= r.Start }

// Intersect is the part that r and o share, possibly empty.
func (r Range) Intersect(o Range) Range {
	return Range{max(r.Start, o.Start), min(r.End, o.End)}
}

// String prints r as the header fields of HTTP do, last offset inclusive
// (RFC 9110, section 14.1.2): [0, 100) is "0-99". An empty range is "".
func (r Range) String() string {
	if r.Empty() {
		return ""
	}
	return fmt.Sprintf("%d-%d", r.Start, r.End-1)
}
