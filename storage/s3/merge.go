package s3

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// maxFragments is how many fragments a cell may have before they are made one. Those that
// this makes needless stay for a while: so a cell has as many objects more as are stored of
// it in that time. It bounds what a cell keeps, and what is read of it.
const maxFragments = 32

// putFragments stores those fresh bytes that nobody has stored yet. It tells
// whether these were all of them, so that what is stored is what h holds.
func (w *writer) putFragments(ctx context.Context, h pending) (alone bool, err error) {
	missing := w.known().Received.Missing(h.new)
	for _, r := range missing.Ranges() {
		sum, err := w.store.putFragment(ctx, w.id, w.fragment(r), h.section(h.all.Start, r))
		if err != nil {
			return false, err
		}
		w.stored(withSum(w.fragment(r), sum))
	}
	return missing.Contains(h.new), nil
}

// section is the part of the buffer that holds r, if the buffer begins at start.
func (b *buffer) section(start int64, r ranges.Range) *io.SectionReader {
	return io.NewSectionReader(b, r.Start-start, r.Len())
}

// fragment is the piece that a fragment makes of the upload.
func (w *writer) fragment(r ranges.Range) storage.Extent {
	return fragmentPiece(r, creationMark(w.known().Record))
}

// putFragment stores a fragment, and returns its checksum. One of the same range has the
// same bytes, unless writes on two nodes contradict each other, and then either may stay.
// So it is put without a condition: where that does not hold, some S3s answer before they
// have read the bytes, which looks like a broken connection.
func (s *Store) putFragment(ctx context.Context, id string, p storage.Extent, body *io.SectionReader) (checksum, error) {
	sum, err := sumAll(body)
	if err != nil {
		return sum, noRoom(err)
	}
	return sum, s.client.put(ctx, object{key: s.fragmentKey(id, p), body: body, size: p.Len(), sum: sum})
}

// merge puts a cell of which a part is in h and the rest in fragments. If that
// can't be, what is fresh becomes a fragment too, and the cell is left to others.
func (w *writer) merge(ctx context.Context, slot ranges.Range, h pending) error {
	number, _ := w.cell(slot.Start)
	defer w.hold(ctx, slot, partName(number))()
	return w.mergeHeld(ctx, slot, h)
}

// mergeHeld is merge for a caller who holds the cell.
func (w *writer) mergeHeld(ctx context.Context, slot ranges.Range, h pending) error {
	if w.whole(slot) {
		return nil
	}
	err := w.tryMerge(ctx, slot, h)
	if err == nil || errors.Is(err, errNoUpload) {
		return err
	}
	if _, keepErr := w.putFragments(ctx, h); keepErr != nil {
		return errors.Join(err, keepErr)
	}
	return nil
}

// errOtherCells: another node has cut the upload up in another way.
var errLayoutChanged = errors.New("the cells are others than were expected")

func (w *writer) tryMerge(ctx context.Context, slot ranges.Range, h pending) error {
	if !w.ready() {
		if err := w.createLayout(ctx); err != nil {
			return err
		}
	}
	number, now := w.cell(slot.Start)
	if now != slot {
		return errLayoutChanged
	}
	up := w.known()
	// Of bytes that came twice, the first ones stay.
	local := ranges.NewSet(h.cachedTail())
	local.AddSet(up.Received.Missing(h.new))
	b, err := w.store.assemble(ctx, up, slot, local, &h)
	if err != nil {
		return err
	}
	defer b.release()
	return w.uploadPart(ctx, number, slot, b)
}

// tidyCell is called when fragments of h were stored. If the cell is complete by
// now, thanks to others, it is put; if it has many fragments, they are made one.
// If h is trusted, what it holds is what is stored.
func (w *writer) compactPart(ctx context.Context, slot ranges.Range, h pending, trusted bool) error {
	up := w.known()
	local := ranges.Set{}
	if trusted {
		local.Add(h.all)
	}
	if up.Received.Contains(slot) && (w.ready() || w.hintsChunkSize) {
		h.new = ranges.Range{Start: h.all.End, End: h.all.End} // it is all stored
		if !trusted {
			h.all = h.new
		}
		return w.merge(ctx, slot, h)
	}
	if len(fragments(up, slot)) > maxFragments {
		for _, run := range up.Received.Within(slot).Ranges() {
			w.coalesce(ctx, run, local, h)
		}
	}
	return nil
}

// coalesce makes one fragment of several that lie side by side. It is no harm if
// it fails: they are there.
func (w *writer) coalesce(ctx context.Context, run ranges.Range, local ranges.Set, h pending) {
	defer w.hold(ctx, run, w.fragment(run).Name)()
	up := w.known()
	if len(fragments(up, run)) < 2 {
		return
	}
	b, err := w.store.assemble(ctx, up, run, local.Within(run), &h)
	if err != nil {
		return
	}
	defer b.release()
	one := w.fragment(run)
	if sum, err := w.store.putFragment(ctx, up.ID, one, b.section(run.Start, run)); err == nil {
		w.stored(withSum(one, sum))
		w.store.removeFragments(up, run, one)
	}
}

// errLacking: bytes that an upload is said to have are in none of its fragments.
var errLacking = errors.New("bytes are in no fragment")

// assemble collects the bytes of r: those of own from h, the rest from fragments.
func (s *Store) assemble(ctx context.Context, up storage.Upload, r ranges.Range, local ranges.Set, h *pending) (*buffer, error) {
	b := &buffer{budget: s.budget}
	for at := r.Start; at < r.End; at = r.Start + b.size {
		var err error
		if mine := local.Within(ranges.Range{Start: at, End: r.End}); mine.Contains(ranges.Of(at, 1)) {
			run := mine.Ranges()[0]
			_, err = b.fill(h.section(h.all.Start, run), b.size+run.Len())
		} else {
			until := r.End
			if !mine.Empty() {
				until = mine.Ranges()[0].Start
			}
			err = s.readFragment(ctx, up, ranges.Range{Start: at, End: until}, b)
		}
		if err == nil && b.size == at-r.Start {
			err = fmt.Errorf("assemble %s at %d: %w", up.ID, at, errLacking)
		}
		if err != nil {
			b.release()
			return nil, err
		}
	}
	return b, nil
}

// readFragment appends to b what one fragment has of r, from its start on.
func (s *Store) readFragment(ctx context.Context, up storage.Upload, r ranges.Range, b *buffer) error {
	for _, f := range fragments(up, ranges.Of(r.Start, 1)) {
		want := f.Intersect(r)
		body, err := s.client.open(ctx, s.fragmentKey(up.ID, f), want.Start-f.Start, want.Len())
		if errors.Is(err, errMissing) {
			continue // merged into a longer one, which the index will tell of
		}
		if err != nil {
			return err
		}
		before := b.size
		_, err = b.fill(body, b.size+want.Len())
		_ = body.Close()
		if err == nil && b.size-before != want.Len() {
			err = storage.Unavailable("read a fragment of", up.ID, io.ErrUnexpectedEOF)
		}
		return err
	}
	return nil
}

// removeFragments has the fragments removed later that lie in r, which is stored as a
// whole, but not the one of kept.
func (s *Store) removeFragments(up storage.Upload, r ranges.Range, kept storage.Extent) {
	var keys []string
	for _, f := range fragments(up, r) {
		if f.Name != kept.Name && r.Start <= f.Start && f.End <= r.End {
			keys = append(keys, s.fragmentKey(up.ID, f))
		}
	}
	s.needless.add(up.ID, keys...)
}
