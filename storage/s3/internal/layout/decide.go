package layout

import (
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// MaxFragments is how many fragments without a gap between them a slot may have before they
// are merged into one. The merged ones are removed only after a delay, so a slot temporarily
// has more objects: as many as are stored in that time. The limit bounds what a merge reads.
const MaxFragments = 32

// Came is what a writer has in memory of a chunk: consecutive bytes of one slot.
type Came struct {
	All ranges.Range // all of them
	New ranges.Range // the last of All, which are to be stored; those before are stored in fragments
	// Ready says that parts can be uploaded, and MayBegin that the layout may be created now.
	Ready, MayBegin bool
}

// before is the range of the bytes before the new ones.
func (c Came) before() ranges.Range { return ranges.Range{Start: c.All.Start, End: c.New.Start} }

// Action is what to do with bytes that came.
type Action int

const (
	// Keep stores those new bytes that are not stored yet as fragments.
	Keep Action = iota
	// Put stores the bytes as the part of their slot.
	Put
	// Verify is for bytes that fill their slot, of which other writes have stored some: if
	// they are the same, all are merged into the part.
	Verify
	// Merge stores the part of the slot, which the new bytes complete, from these and from
	// fragments.
	Merge
	// Coalesce replaces adjacent fragments by one.
	Coalesce
	// Done means that nothing is left to do.
	Done
)

// Decide returns what to do with the new bytes of c: Put, Verify, Merge or Keep. up is what is
// known to be stored.
func (l Layout) Decide(up storage.Upload, c Came) Action {
	_, slot := l.Slot(c.New.Start, up.Size)
	switch {
	case c.All == slot && c.Ready && up.Received.Within(slot).Minus(ranges.NewSet(c.before())).Empty():
		return Put
	case c.All == slot && c.Ready:
		return Verify
	case c.Fits(slot) && (c.Ready || c.MayBegin) && complete(up.Received, slot, c.New):
		return Merge
	}
	return Keep
}

// DecideStored returns what to do after the new bytes of c were stored as fragments: Merge
// the slot, if concurrent writes have completed it, Coalesce the fragments in run, or Done.
func (l Layout) DecideStored(up storage.Upload, c Came) (action Action, run ranges.Range) {
	_, slot := l.Slot(c.New.Start, up.Size)
	if up.Received.Contains(slot) && (c.Ready || c.MayBegin) {
		return Merge, slot
	}
	run = up.Received.At(c.New.Start).Intersect(slot)
	if len(Fragments(up, run)) > MaxFragments {
		return Coalesce, run
	}
	return Done, ranges.Range{}
}

// MayFlush reports whether bytes at offset, in a chunk that is still being received, may be
// stored as a fragment: there must be room for those of later chunks.
func (l Layout) MayFlush(up storage.Upload, offset int64) bool {
	_, slot := l.Slot(offset, up.Size)
	run := up.Received.At(max(offset-1, slot.Start)).Intersect(slot)
	return len(Fragments(up, run)) < MaxFragments
}

// Fits reports whether all bytes are in the slot, which they are not if another layout was
// adopted after they came.
func (c Came) Fits(slot ranges.Range) bool { return slot.Start <= c.All.Start && c.All.End <= slot.End }

// complete reports whether r is all of slot that received lacks, or more.
func complete(received ranges.Set, slot, r ranges.Range) bool {
	return received.Contains(ranges.Range{Start: slot.Start, End: r.Start}) && received.Contains(ranges.Range{Start: r.End, End: slot.End})
}
