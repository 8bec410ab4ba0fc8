package storage_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func TestUploadReportsWhatWasReceived(t *testing.T) {
	for _, c := range []struct {
		name     string
		size     int64
		received []ranges.Range
		finished bool

		offset   int64
		complete bool
		missing  string
		has      bool // bytes 10 to 19
	}{
		{"new", 100, nil, false, 0, false, "0-99", false},
		{"begun", 100, []ranges.Range{{End: 15}}, false, 15, false, "15-99", false},
		{"scattered", 100, []ranges.Range{{Start: 10, End: 30}, {Start: 50, End: 100}}, false, 0, false, "0-9,30-49", true},
		{"complete", 100, []ranges.Range{{End: 100}}, false, 100, true, "", true},
		{"finished", 100, nil, true, 100, true, "", true},
		{"finished and too short", 15, nil, true, 15, true, "", false},
		{"empty", 0, nil, false, 0, true, "", false},
		{"empty and finished", 0, nil, true, 0, true, "", false},
		{"unknown and new", storage.Unknown, nil, false, 0, false, "", false},
		{"unknown", storage.Unknown, []ranges.Range{{End: 5}, {Start: 8, End: 20}}, false, 5, false, "5-7", true},
	} {
		up := storage.Upload{Record: storage.Record{Size: c.size}, Received: ranges.NewSet(c.received...), Finished: c.finished}
		if up.Offset() != c.offset || up.Complete() != c.complete || up.Missing().String() != c.missing || up.Has(ranges.Of(10, 10)) != c.has {
			t.Errorf("%s: offset %d, complete %v, missing %q, has %v; want %+v",
				c.name, up.Offset(), up.Complete(), up.Missing(), up.Has(ranges.Of(10, 10)), c)
		}
	}
}

func TestNamedExtentsAreKeptUntilOneCoversThem(t *testing.T) {
	piece := func(name string, start, end int64) storage.Extent {
		return storage.Extent{Range: ranges.Range{Start: start, End: end}, Name: name, Meta: "tag of " + name}
	}
	for _, c := range []struct {
		name string
		add  []storage.Extent
		want string // names, sorted
	}{
		{"none has a name", []storage.Extent{piece("", 0, 5), piece("", 5, 10)}, ""},
		{"side by side", []storage.Extent{piece("a", 0, 5), piece("b", 5, 10)}, "a b"},
		{"covered", []storage.Extent{piece("a", 0, 5), piece("b", 5, 10), piece("c", 0, 10)}, "c"},
		{"covered in part", []storage.Extent{piece("a", 0, 5), piece("b", 3, 10)}, "a b"},
		{"covered by one without a name", []storage.Extent{piece("a", 2, 5), piece("", 0, 10)}, "a"},
		{"the same again", []storage.Extent{piece("a", 0, 5), piece("a", 0, 5)}, "a"},
		{"a fact", []storage.Extent{piece("fact", 0, 0), piece("a", 0, 5), piece("b", 0, 10)}, "b fact"},
	} {
		var up storage.Upload
		for _, p := range c.add {
			up.Add(p)
		}
		var names []string
		for p := range up.Extents.All() {
			names = append(names, p.Name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: kept %q, want %q", c.name, got, c.want)
		}
		for p := range up.Extents.All() {
			name := p.Name
			if p.Meta != "tag of "+name || !up.Has(p.Range) {
				t.Errorf("%s: under %q is %+v", c.name, name, p)
			}
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	up := storage.Upload{Record: storage.Record{Metadata: map[string]string{"a": "b"}, Parts: []string{"p"}},
		Received: ranges.NewSet(ranges.Of(0, 10))}
	up.Add(storage.Extent{Range: ranges.Of(0, 10), Name: "p"})
	clone := up.Clone()
	up.Add(storage.Extent{Range: ranges.Of(0, 20), Name: "q"})
	up.Metadata["a"], up.Parts[0] = "changed", "changed"
	up.Received.Remove(ranges.Of(0, 5))
	if clone.Metadata["a"] != "b" || clone.Parts[0] != "p" || clone.Extents.Len() != 1 || clone.Received.String() != "0-9" {
		t.Errorf("the clone changed with its origin: %+v", clone)
	}
}

func TestTransientReportsTemporaryErrors(t *testing.T) {
	for err, want := range map[error]bool{
		storage.ErrUnavailable: true, storage.ErrNoSpace: true, storage.ErrLocked: true,
		storage.ErrNotFound: false, storage.ErrGone: false, storage.ErrBodyAborted: false, storage.ErrTooManyRanges: false,
		errors.New("a bug"): false,
	} {
		if storage.Transient(fmt.Errorf("doing something: %w", err)) != want {
			t.Errorf("%v: transient %v, want %v", err, !want, want)
		}
	}
	if storage.Transient(nil) || storage.Unavailable("load", "it", nil) != nil {
		t.Error("nil is taken for an error")
	}
	cause := errors.New("the disk is on fire")
	if err := storage.Unavailable("load", "it", cause); !errors.Is(err, storage.ErrUnavailable) || !errors.Is(err, cause) {
		t.Errorf("%v does not wrap both ErrUnavailable and its cause", err)
	}
}
