package console

import (
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// cells is how many equal stretches the map of an upload has.
const cells = 100

// coverage returns the map of an upload: for each stretch of it a digit, from "0" if nothing
// of the stretch is received to "9" if all of it is. While the size is unknown the map ends
// with the last byte received.
func coverage(received ranges.Set, size int64) string {
	if size == storage.Unknown {
		size = received.End()
	}
	digits := make([]byte, cells)
	for i := range digits {
		digits[i] = digit(received, stretch(int64(i), size))
	}
	return string(digits)
}

// stretch returns the i-th stretch of an upload: of a few bytes, some overlap.
func stretch(i, size int64) ranges.Range {
	from := size/cells*i + size%cells*i/cells
	to := size/cells*(i+1) + size%cells*(i+1)/cells
	return ranges.Range{Start: from, End: min(max(to, from+1), size)}
}

func digit(received ranges.Set, of ranges.Range) byte {
	n := received.Within(of).Bytes()
	switch {
	case n == 0:
		return '0'
	case n == of.Len():
		return '9'
	}
	return '1' + byte(7*float64(n)/float64(of.Len()))
}

// union returns the map with the greater digit of each stretch.
func union(a, b string) string {
	if len(a) != len(b) {
		return a
	}
	out := []byte(a)
	for i := range out {
		out[i] = max(out[i], b[i])
	}
	return string(out)
}
