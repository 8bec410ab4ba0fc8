package disk

import (
	"bytes"
	"reflect"
	"testing"
)

// This includes whether the size was set after creation, when there may be bytes beyond it.
func TestCompactJournalIsEquivalent(t *testing.T) {
	lines, _ := journalLines(t)
	for n := range len(lines) {
		want, _ := parseJournal(bytes.Join(lines[:n+1], nil))
		text, err := want.compact()
		if err != nil {
			t.Fatal(err)
		}
		if got, created := parseJournal(text); !created || !reflect.DeepEqual(got, want) {
			t.Errorf("%d lines: %+v became %+v", n, want, got)
		}
	}
}
