package layout

import (
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// In these tables a slot has 10 MiB, offsets are in MiB, and the upload has 25.
func mibs(start, end int64) ranges.Range { return ranges.Range{Start: start * MiB, End: end * MiB} }

type stored []storage.Extent

func (s stored) upload(size int64) storage.Upload {
	up := storage.Upload{Record: storage.Record{Size: size}}
	for _, p := range s {
		up.Add(p)
	}
	return up
}

func fragment(start, end int64) storage.Extent { return NewFragment(mibs(start, end), "") }

var tenMiB = Layout{PartSize: 10 * MiB, UploadID: "it"}

func TestWhatHappensToBytesThatCome(t *testing.T) {
	const size = 25 * MiB
	ready, begins, neither := Came{Ready: true}, Came{MayBegin: true}, Came{}
	for _, c := range []struct {
		name     string
		size     int64
		there    stored
		may      Came
		all, new ranges.Range
		want     Action
	}{
		{"a whole slot", size, nil, ready, mibs(10, 20), mibs(10, 20), Put},
		{"the last slot, which is shorter", size, nil, ready, mibs(20, 25), mibs(20, 25), Put},
		{"a slot that would be the last one but is not full, of unknown size", storage.Unknown, nil, ready, mibs(20, 25), mibs(20, 25), Keep},
		{"a whole slot whose neighbors are stored", size, stored{NewPart(1, mibs(0, 10), ""), fragment(20, 21)}, ready, mibs(10, 20), mibs(10, 20), Put},
		{"a whole slot with the stored bytes before the new ones", size, stored{fragment(10, 13)}, ready, mibs(10, 20), mibs(13, 20), Put},
		{"a whole slot of which another write has stored the end", size, stored{fragment(19, 20)}, ready, mibs(10, 20), mibs(10, 20), Verify},
		{"a whole slot of which another write has stored more than came before", size, stored{fragment(10, 14)}, ready, mibs(10, 20), mibs(13, 20), Verify},
		{"a whole slot that is a part already", size, stored{NewPart(2, mibs(10, 20), "")}, ready, mibs(10, 20), mibs(10, 20), Verify},
		{"a whole slot while no part can be uploaded", size, nil, neither, mibs(10, 20), mibs(10, 20), Keep},
		{"a whole slot that may begin the parts", size, nil, begins, mibs(10, 20), mibs(10, 20), Merge},

		{"the start of a slot", size, nil, ready, mibs(10, 15), mibs(10, 15), Keep},
		{"the end of a slot", size, nil, ready, mibs(15, 20), mibs(15, 20), Keep},
		{"one byte", size, nil, ready, ranges.Of(5, 1), ranges.Of(5, 1), Keep},
		{"the end, after its start", size, stored{fragment(10, 15)}, ready, mibs(15, 20), mibs(15, 20), Merge},
		{"the start, after its end", size, stored{fragment(15, 20)}, ready, mibs(10, 15), mibs(10, 15), Merge},
		{"the gap between two", size, stored{fragment(10, 12), fragment(15, 20)}, ready, mibs(12, 15), mibs(12, 15), Merge},
		{"more than the gap", size, stored{fragment(10, 14), fragment(13, 20)}, ready, mibs(11, 18), mibs(11, 18), Merge},
		{"all but one of two gaps", size, stored{fragment(10, 12), fragment(16, 20)}, ready, mibs(12, 15), mibs(12, 15), Keep},
		{"the gap while the parts can't begin", size, stored{fragment(10, 15)}, neither, mibs(15, 20), mibs(15, 20), Keep},
		{"the gap, which may begin the parts", size, stored{fragment(10, 15)}, begins, mibs(15, 20), mibs(15, 20), Merge},
		{"the end of the last slot", size, stored{fragment(20, 22)}, ready, mibs(22, 25), mibs(22, 25), Merge},

		{"bytes that came for another layout and end in the next slot", size, stored{fragment(10, 15)}, ready, mibs(15, 21), mibs(15, 21), Keep},
		{"bytes that came for another layout and begin in the slot before", size, stored{fragment(15, 20)}, ready, mibs(8, 15), mibs(12, 15), Keep},
		{"bytes that are stored", size, stored{fragment(10, 15)}, ready, mibs(11, 12), mibs(11, 12), Keep},
	} {
		c.may.All, c.may.New = c.all, c.new
		if got := tenMiB.Decide(c.there.upload(c.size), c.may); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// run returns n adjacent fragments of one byte each, from offset on.
func run(offset int64, n int) (all stored) {
	for i := range int64(n) {
		all = append(all, NewFragment(ranges.Of(offset+i, 1), ""))
	}
	return all
}

func TestWhatHappensAfterAFragmentWasStored(t *testing.T) {
	const size = 25 * MiB
	at := func(offset int64) ranges.Range { return ranges.Of(offset, 1) }
	for _, c := range []struct {
		name  string
		there stored
		came  Came
		want  Action
		run   ranges.Range
	}{
		{"nothing else", stored{fragment(10, 12)}, Came{New: mibs(10, 12), Ready: true}, Done, ranges.Range{}},
		{"the rest, by another write", stored{fragment(10, 12), fragment(12, 20)}, Came{New: mibs(10, 12), Ready: true}, Merge, mibs(10, 20)},
		{"the rest, but no part can be uploaded", stored{fragment(10, 12), fragment(12, 20)}, Came{New: mibs(10, 12)}, Done, ranges.Range{}},
		{"the rest, which may begin the parts", stored{fragment(10, 12), fragment(12, 20)}, Came{New: mibs(10, 12), MayBegin: true}, Merge, mibs(10, 20)},
		{"the slot as a part", stored{NewPart(2, mibs(10, 20), "")}, Came{New: mibs(10, 12), Ready: true}, Merge, mibs(10, 20)},
		{"as many fragments as may be", run(0, MaxFragments), Came{New: at(MaxFragments - 1)}, Done, ranges.Range{}},
		{"one more", run(0, MaxFragments+1), Came{New: at(MaxFragments)}, Coalesce, ranges.Of(0, MaxFragments+1)},
		{"one more, before the others", run(7, MaxFragments+1), Came{New: at(7)}, Coalesce, ranges.Of(7, MaxFragments+1)},
		{"many, but not beside the new one", append(run(100, 2*MaxFragments), run(0, 1)...), Came{New: at(0)}, Done, ranges.Range{}},
		{"many on both sides of the new one", append(run(0, 20), run(20, 20)...), Came{New: at(20)}, Coalesce, ranges.Of(0, 40)},
		{"many in the slot before", append(run(10*MiB-40, 40), run(10*MiB, 1)...), Came{New: at(10 * MiB)}, Done, ranges.Range{}},
	} {
		got, r := tenMiB.DecideStored(c.there.upload(size), c.came)
		if got == Done {
			r = ranges.Range{}
		}
		if got != c.want || r != c.run {
			t.Errorf("%s: %v of %v, want %v of %v", c.name, got, r, c.want, c.run)
		}
	}
}

func TestAFlushLeavesRoomForLaterChunks(t *testing.T) {
	for _, c := range []struct {
		name   string
		there  stored
		offset int64
		want   bool
	}{
		{"nothing", nil, 5, true},
		{"almost as many fragments as may be", run(0, MaxFragments-1), MaxFragments - 1, true},
		{"as many as may be", run(0, MaxFragments), MaxFragments, false},
		{"many elsewhere", run(100, 2*MaxFragments), 5, true},
		{"many in the slot before", run(10*MiB-40, 40), 10 * MiB, true},
	} {
		if got := tenMiB.MayFlush(c.there.upload(25*MiB), c.offset); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
