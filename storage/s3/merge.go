package s3

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// maxFragments is how many fragments a cell may have before they are made one.
const maxFragments = 32

// putFragments stores those fresh bytes that nobody has stored yet.
func (w *writer) putFragments(ctx context.Context, h held) error {
	for _, r := range w.known().Received.Missing(h.fresh).Ranges() {
		if err := w.store.putFragment(ctx, w.up.ID, r, h.section(h.all.Start, r)); err != nil {
			return err
		}
		w.stored(fragmentPiece(r))
	}
	return nil
}

// section is the part of the buffer that holds r, if the buffer begins at start.
func (b *buffer) section(start int64, r ranges.Range) *io.SectionReader {
	return io.NewSectionReader(b, r.Start-start, r.Len())
}

func (s *Store) putFragment(ctx context.Context, id string, r ranges.Range, body *io.SectionReader) error {
	sum, err := sumAll(body)
	if err != nil {
		return noRoom(err)
	}
	o := object{key: s.fragmentKey(id, r), body: body, size: r.Len(), sum: sum, once: true}
	if err := s.client.put(ctx, o); err != nil && !errors.Is(err, errTaken) {
		return err
	}
	return nil
}

// merge puts a cell of which a part is in h and the rest in fragments.
func (w *writer) merge(ctx context.Context, number int32, cell ranges.Range, h held) error {
	if w.currentLayout().UploadID == "" && !w.currentLayout().single(w.up) {
		if err := w.decide(ctx); err != nil {
			return err
		}
		if _, now := w.currentLayout().cell(cell.Start, w.known().Size); now != cell {
			// Another node cut the upload up in another way: let Finish put it together.
			return w.putFragments(ctx, h)
		}
	}
	up := w.known()
	// Of bytes that came twice, the first ones stay.
	own := ranges.NewSet(ranges.Range{Start: h.all.Start, End: h.fresh.Start})
	own.AddSet(up.Received.Missing(h.fresh))
	b, err := w.store.assemble(ctx, up, cell, own, &h)
	if err == nil {
		defer b.release()
		err = w.putCell(ctx, number, cell, b)
	}
	if err != nil && !errors.Is(err, errNoUpload) {
		// What came must not be lost with the part that it could not become.
		return errors.Join(err, w.putFragments(ctx, h))
	}
	return err
}

// tidyCell is called when a fragment was stored. If the cell is complete by now,
// thanks to others, it is put; if it has many fragments, they are made one.
func (w *writer) tidyCell(ctx context.Context, number int32, cell ranges.Range) error {
	up := w.known()
	if up.Received.Contains(cell) && w.teaches {
		none := held{buffer: &buffer{budget: w.store.budget}, all: ranges.Range{Start: cell.Start, End: cell.Start}}
		none.fresh = none.all
		return w.merge(ctx, number, cell, none)
	}
	if len(fragments(up, cell)) > maxFragments {
		for _, run := range up.Received.Within(cell).Ranges() {
			w.coalesce(ctx, run)
		}
	}
	return nil
}

// coalesce makes one fragment of several that lie side by side. It is no harm if
// it fails: they are there.
func (w *writer) coalesce(ctx context.Context, run ranges.Range) {
	up := w.known()
	if len(fragments(up, run)) < 2 {
		return
	}
	b, err := w.store.assemble(ctx, up, run, ranges.Set{}, nil)
	if err != nil {
		return
	}
	defer b.release()
	if w.store.putFragment(ctx, up.ID, run, b.section(run.Start, run)) == nil {
		w.stored(fragmentPiece(run))
		w.store.removeFragmentsBut(ctx, up, run)
	}
}

// assemble collects the bytes of r: those of own from h, the rest from fragments.
func (s *Store) assemble(ctx context.Context, up storage.Upload, r ranges.Range, own ranges.Set, h *held) (*buffer, error) {
	b := &buffer{budget: s.budget}
	for at := r.Start; at < r.End; at = r.Start + b.size {
		var err error
		if mine := own.Within(ranges.Range{Start: at, End: r.End}); mine.Contains(ranges.Of(at, 1)) {
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
			err = storage.Unavailable("assemble", up.ID, fmt.Errorf("offset %d is in no fragment", at))
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

// removeFragments removes the fragments that lie in a cell whose part is stored.
// Those that can't be removed now go when the upload is finished.
func (s *Store) removeFragments(ctx context.Context, up storage.Upload, cell ranges.Range) {
	var keys []string
	for _, f := range fragments(up, cell) {
		if cell.Start <= f.Start && f.End <= cell.End {
			keys = append(keys, s.fragmentKey(up.ID, f))
		}
	}
	_ = s.client.remove(ctx, keys...)
}

func (s *Store) removeFragmentsBut(ctx context.Context, up storage.Upload, run ranges.Range) {
	var keys []string
	for _, f := range fragments(up, run) {
		if f != run && run.Start <= f.Start && f.End <= run.End {
			keys = append(keys, s.fragmentKey(up.ID, f))
		}
	}
	_ = s.client.remove(ctx, keys...)
}
