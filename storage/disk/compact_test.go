package disk

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// same reports whether two journals say the same.
func same(a, b journal) bool {
	equal := a.ranges.Equal(b.ranges) && slices.Equal(slices.Collect(a.sums.all()), slices.Collect(b.sums.all()))
	a.ranges, a.sums, b.ranges, b.sums = ranges.Set{}, sums{}, ranges.Set{}, sums{}
	return equal && reflect.DeepEqual(a, b)
}

// This includes whether the size was set after creation, when there may be bytes beyond it.
func TestCompactJournalIsEquivalent(t *testing.T) {
	lines, _ := journalLines(t)
	for n := range len(lines) {
		want, _ := parseJournal(bytes.Join(lines[:n+1], nil))
		text, err := want.compact()
		if err != nil {
			t.Fatal(err)
		}
		if got, created := parseJournal(text); !created || !same(got, want) {
			t.Errorf("%d lines: %+v became %+v", n, want, got)
		}
	}
}
