package s3

import (
	"context"
	"fmt"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// hold waits until this writer alone, of all in this process, stores bytes of r, and of all
// processes the piece of the given name, and learns what others have stored until then. It
// returns the function that gives r back.
//
// So bytes that were acknowledged are not replaced by a write that began earlier and does
// not know of them.
func (w *writer) hold(ctx context.Context, r ranges.Range, piece string) (release func()) {
	local, shared := w.active.hold(r), func() {}
	known := w.known()
	if w.others != nil && !w.store.single(w.currentLayout(), known) { // S3 itself takes one file only
		var now storage.Upload
		var ok bool
		if now, ok, shared = w.others(ctx, piece); ok && now.Created.Equal(known.Created) {
			known = now
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up = w.active.addTo(known)
	return func() {
		shared()
		local()
	}
}

// placeWhole stores the bytes of a whole cell.
func (w *writer) placeWhole(ctx context.Context, number int32, slot ranges.Range, h pending) error {
	release := w.hold(ctx, slot, partName(number))
	others := w.known().Received.Within(slot).Minus(ranges.NewSet(h.cachedTail()))
	if others.Empty() {
		return w.put(ctx, number, slot, h.buffer, release)
	}
	defer release()
	defer h.release()
	if err := w.checkSame(slot, h.sum); err != nil {
		return err
	}
	return w.mergeHeld(ctx, slot, h)
}

// placeFragments stores fresh bytes as fragments; see putFragments.
func (w *writer) placeFragments(ctx context.Context, h pending) (alone bool, err error) {
	defer w.hold(ctx, h.new, w.fragment(h.new).Name)()
	if w.known().Received.Contains(h.new) {
		sum, err := sumAll(h.section(h.all.Start, h.new))
		if err != nil {
			return false, noRoom(err)
		}
		return false, w.checkSame(h.new, sum)
	}
	return w.putFragments(ctx, h)
}

// whole reports whether a cell is stored in one piece.
func (w *writer) whole(slot ranges.Range) bool {
	for name, p := range w.known().Extents {
		if (isPart(name) || name == fileName) && p.Range == slot {
			return true
		}
	}
	return false
}

// checkSame returns ErrContentConflict if other bytes than those with the given checksum
// are stored of r, which another write has stored since this one began.
func (w *writer) checkSame(r ranges.Range, sum checksum) error {
	for _, p := range w.known().Extents {
		if p.Range != r || p.Empty() {
			continue
		}
		if stored, known := pieceSum(p); known && stored != sum {
			return fmt.Errorf("write %v of %s: %w", r, w.id, storage.ErrContentConflict)
		}
	}
	return nil
}

// withSum is a piece of which the checksum is known.
func withSum(p storage.Extent, sum checksum) storage.Extent {
	p.Meta = ";" + sum.String()
	return p
}

// pieceSum returns the checksum of a piece, if it is known.
func pieceSum(p storage.Extent) (checksum, bool) {
	_, sum, _ := strings.Cut(p.Meta, ";")
	return parseChecksum(sum)
}
