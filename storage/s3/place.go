package s3

import (
	"context"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// lock waits until no other writer of this process stores bytes of r, and none of any
// process the extent of the given name. Then it updates w.up with what others have stored.
// It returns the function that unlocks.
//
// So a write that began earlier does not replace bytes that were acknowledged since.
func (w *writer) lock(ctx context.Context, r ranges.Range, extent string) (unlock func()) {
	unlockLocal, unlockShared := w.active.hold(r), func() {}
	known := w.known()
	if w.exclusive != nil && !w.store.single(w.currentLayout(), known) { // S3 itself accepts only one file
		var now storage.Upload
		var ok bool
		if now, ok, unlockShared = w.exclusive(ctx, extent); ok && now.Created.Equal(known.Created) {
			known = now
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up = w.active.addTo(known, r)
	return func() {
		unlockShared()
		unlockLocal()
	}
}

// placeWhole stores the bytes of a whole slot.
func (w *writer) placeWhole(ctx context.Context, number int32, slot ranges.Range, h pending) error {
	unlock := w.lock(ctx, slot, layout.PartName(number))
	if w.decide(h) == layout.Put {
		return w.startPart(ctx, number, slot, h.buffer, unlock)
	}
	defer unlock()
	defer h.release()
	if err := w.checkSame(slot, h.sum); err != nil {
		return err
	}
	return w.mergeLocked(ctx, slot, h)
}

// placeFragments stores the new bytes of h as fragments; see putFragments.
func (w *writer) placeFragments(ctx context.Context, h pending) (storedAll bool, err error) {
	defer w.lock(ctx, h.new, w.fragment(h.new).Name)()
	if w.known().Received.Contains(h.new) {
		sum, err := sumAll(h.section(h.all.Start, h.new))
		if err != nil {
			return false, noRoom(err)
		}
		return false, w.checkSame(h.new, sum)
	}
	return w.putFragments(ctx, h)
}

// slotStored reports whether a slot is stored as a part, or as the file.
func (w *writer) slotStored(slot ranges.Range) bool {
	for p := range w.known().Extents.Overlapping(slot) {
		if p.Kind != layout.Fragment && p.Range == slot {
			return true
		}
	}
	return false
}

// checkSame returns ErrContentConflict if another write has stored r, since this one began,
// with a checksum other than sum.
func (w *writer) checkSame(r ranges.Range, sum crc32c.Sum) error {
	for p := range w.known().Extents.Overlapping(r) {
		if p.Range != r {
			continue
		}
		if stored, known := layout.SumOf(p); known && stored != sum {
			return fmt.Errorf("write %v of %s: %w", r, w.id, storage.ErrContentConflict)
		}
	}
	return nil
}
