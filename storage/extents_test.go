package storage_test

import (
	"slices"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func TestExtentsWithoutBytesDescribeTheUpload(t *testing.T) {
	var up storage.Upload
	up.Add(storage.Extent{Range: ranges.Of(5, 0), Name: "layout", Meta: "1"})
	up.Add(storage.Extent{Range: ranges.Of(0, 10), Name: "a"})
	up.Add(storage.Extent{Range: ranges.Of(7, 0), Name: "layout", Meta: "2"})
	want := storage.Extent{Name: "layout", Meta: "2"}
	if general := slices.Collect(up.Extents.General()); !slices.Equal(general, []storage.Extent{want}) {
		t.Errorf("%v describe the upload, want %v", general, want)
	}
	if found, ok := up.Extents.Get(ranges.Range{}, "layout"); !ok || found != want || up.Extents.Len() != 2 {
		t.Errorf("found %v, %v among %d", found, ok, up.Extents.Len())
	}
}

func TestExtentsAreEqualIfAllOfThemAre(t *testing.T) {
	a := storage.Extent{Range: ranges.Of(0, 10), Kind: "part", Name: "a", Meta: "1"}
	b := storage.Extent{Range: ranges.Of(10, 10), Name: "b"}
	all := storage.NewExtents(a, b)
	for name, other := range map[string]storage.Extents{
		"one less":    storage.NewExtents(a),
		"one more":    storage.NewExtents(a, b, storage.Extent{Name: "c"}),
		"other meta":  storage.NewExtents(b, storage.Extent{Range: a.Range, Kind: "part", Name: "a", Meta: "2"}),
		"other kind":  storage.NewExtents(b, storage.Extent{Range: a.Range, Name: "a", Meta: "1"}),
		"other range": storage.NewExtents(a, storage.Extent{Range: ranges.Of(10, 11), Name: "b"}),
	} {
		if all.Equal(other) || other.Equal(all) {
			t.Errorf("%s: they are equal", name)
		}
	}
	if !all.Equal(storage.NewExtents(b, a)) || !all.Has(a) {
		t.Error("the same extents differ")
	}
}
