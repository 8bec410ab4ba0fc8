package layout

import (
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func FuzzNamesOfFragmentsParseToTheirRange(f *testing.F) {
	f.Add("f/0000000000000000-0000000000000001", int64(0), int64(1), "-0123456789ab")
	f.Add("f/0-5", int64(5), int64(1)<<62, "")
	f.Add("f/00000000000000ff-00000000000000fe", int64(0), int64(0), "-")
	f.Fuzz(func(t *testing.T, name string, start, length int64, mark string) {
		if r, ok := ParseFragment(name); ok && FragmentObject(r, "") != name {
			t.Errorf("%q is taken for %v", name, r)
		}
		if start < 0 || length < 0 || length > ranges.Max-start {
			return
		}
		want := ranges.Of(start, length)
		if r, ok := ParseFragment(FragmentObject(want, "")); !ok || r != want {
			t.Errorf("%v is parsed as %v, %v", want, r, ok)
		}
		if rest, found := SplitMark(FragmentObject(want, "-0123456789ab"), 2); found != "-0123456789ab" || rest != FragmentObject(want, "") {
			t.Errorf("%v with a mark is split into %q and %q", want, rest, found)
		}
	})
}

// Whatever the layout and the offset, exactly one slot holds it, and its part's number leads
// back to it.
func FuzzEveryOffsetIsInOneSlot(f *testing.F) {
	f.Add(int64(16*MiB), false, int64(0), int64(100))
	f.Add(int64(MinPart), true, int64(1)<<40, int64(storage.Unknown))
	f.Add(int64(MaxPart), true, int64(ranges.Max-1), int64(storage.Unknown))
	f.Fuzz(func(t *testing.T, partSize int64, grows bool, offset, size int64) {
		if partSize < MinPart || partSize > MaxPart || offset < 0 || offset >= ranges.Max || size < storage.Unknown || size != storage.Unknown && offset >= size {
			return
		}
		l := Layout{PartSize: partSize, Grows: grows}
		capacity := MaxParts * partSize
		if grows {
			capacity = GrowingCapacity(partSize)
		}
		number, slot := l.Slot(offset, size)
		if !slot.Valid() || offset < slot.Start || offset >= slot.End || size != storage.Unknown && slot.End > size {
			t.Fatalf("offset %d of %d in %+v: part %d, %v", offset, size, l, number, slot)
		}
		if offset >= capacity {
			return
		}
		if at, ok := l.at(number, size); !ok || at != slot || number < 1 || number > MaxParts {
			t.Errorf("offset %d of %d in %+v: part %d is %v, %v, not %v", offset, size, l, number, at, ok, slot)
		}
	})
}
