// Package ranges implements half-open ranges of byte offsets, and sets of them.
//
// Offsets are int64 from 0 to math.MaxInt64, in bytes. A range [Start, End) holds the
// offsets Start ≤ o < End, so that its length never overflows, even with an End of
// math.MaxInt64.
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

// Of returns the range of n bytes from offset start. An end beyond Max is limited to Max.
func Of(start, n int64) Range {
	if n > Max-start {
		return Range{start, Max}
	}
	return Range{start, start + n}
}

// Len returns the number of bytes in r, 0 if r is empty.
func (r Range) Len() int64 {
	if r.Empty() {
		return 0
	}
	return r.End - r.Start
}

// Empty reports whether r contains no bytes.
func (r Range) Empty() bool { return r.End <= r.Start }

// Valid reports whether r is not negative and does not end before its start.
func (r Range) Valid() bool { return r.Start >= 0 && r.End >= r.Start }

// Intersect returns the intersection of r and o, possibly empty.
func (r Range) Intersect(o Range) Range {
	return Range{max(r.Start, o.Start), min(r.End, o.End)}
}

// String formats r as HTTP header fields do, with an inclusive last offset (RFC 9110,
// section 14.1.2): [0, 100) is "0-99". An empty range is "".
func (r Range) String() string {
	if r.Empty() {
		return ""
	}
	return fmt.Sprintf("%d-%d", r.Start, r.End-1)
}
