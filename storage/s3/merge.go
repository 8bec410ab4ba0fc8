package s3

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// putFragments stores those new bytes of h that are not stored yet. It reports whether
// these were all of them: then the stored bytes are those in h.
func (w *writer) putFragments(ctx context.Context, h pending) (storedAll bool, err error) {
	missing := w.known().Received.Missing(h.new)
	for _, r := range missing.Ranges() {
		sum, err := w.store.putFragment(ctx, w.id, w.fragment(r), h.section(h.all.Start, r))
		if err != nil {
			return false, err
		}
		w.stored(layout.WithSum(w.fragment(r), sum))
	}
	return missing.Contains(h.new), nil
}

// section returns a reader of the bytes of r, where start is the offset of the buffer's
// first byte.
func (b *buffer) section(start int64, r ranges.Range) *io.SectionReader {
	return io.NewSectionReader(b, r.Start-start, r.Len())
}

// fragment returns the extent of a fragment that covers r.
func (w *writer) fragment(r ranges.Range) storage.Extent {
	return layout.NewFragment(r, layout.CreationMark(w.known().Record))
}

// putFragment stores a fragment and returns its checksum. The put is unconditional: an
// existing fragment of the same range has the same bytes, unless writes on two nodes
// conflict, and then either may win. A conditional put that fails is answered by some S3
// servers before they have read the body, which looks like a broken connection.
func (s *Store) putFragment(ctx context.Context, id string, p storage.Extent, body *io.SectionReader) (crc32c.Sum, error) {
	sum, err := sumAll(body)
	if err != nil {
		return sum, noRoom(err)
	}
	return sum, s.client.Put(ctx, api.Object{Key: s.fragmentKey(id, p), Body: body, Size: p.Len(), Sum: sum})
}

// merge uploads a slot of which some bytes are in h and the rest in fragments. If that
// fails, it stores the new bytes as a fragment, and a later write uploads the slot.
func (w *writer) merge(ctx context.Context, slot ranges.Range, h pending) error {
	number, _ := w.slot(slot.Start)
	defer w.lock(ctx, slot, layout.PartName(number))()
	return w.mergeLocked(ctx, slot, h)
}

// mergeLocked is merge for a caller that has locked the slot.
func (w *writer) mergeLocked(ctx context.Context, slot ranges.Range, h pending) error {
	if w.slotStored(slot) {
		return nil
	}
	err := w.tryMerge(ctx, slot, h)
	if err == nil || errors.Is(err, api.ErrNoUpload) {
		return err
	}
	if _, keepErr := w.putFragments(ctx, h); keepErr != nil {
		return errors.Join(err, keepErr)
	}
	return nil
}

// errLayoutChanged means that another node has created a different layout.
var errLayoutChanged = errors.New("part layout changed concurrently")

func (w *writer) tryMerge(ctx context.Context, slot ranges.Range, h pending) error {
	if !w.ready() {
		if err := w.createLayout(ctx); err != nil {
			return err
		}
	}
	number, now := w.slot(slot.Start)
	if now != slot {
		return errLayoutChanged
	}
	up := w.known()
	// Of bytes that were received twice, keep the first.
	local := ranges.NewSet(h.cachedTail())
	local.AddSet(up.Received.Missing(h.new))
	b, err := w.store.assemble(ctx, up, slot, local, &h)
	if err != nil {
		return err
	}
	defer b.release()
	return w.uploadPart(ctx, number, slot, b)
}

// compactPart is called after fragments of h were stored, to merge them with others if that
// is due. If h is trusted, the bytes in it are those that are stored.
func (w *writer) compactPart(ctx context.Context, h pending, trusted bool) error {
	switch action, r := w.currentLayout().DecideStored(w.known(), w.came(h)); action {
	case layout.Merge:
		h.new = ranges.Range{Start: h.all.End, End: h.all.End} // all bytes are stored
		if !trusted {
			h.all = h.new
		}
		return w.merge(ctx, r, h)
	case layout.Coalesce:
		var local ranges.Set
		if trusted {
			local.Add(h.all)
		}
		w.coalesce(ctx, r, local, h)
	}
	return nil
}

// coalesce merges adjacent fragments into one. It is best effort: on failure, the fragments
// stay.
func (w *writer) coalesce(ctx context.Context, run ranges.Range, local ranges.Set, h pending) {
	defer w.lock(ctx, run, w.fragment(run).Name)()
	up := w.known()
	if len(layout.Fragments(up, run)) < 2 {
		return
	}
	b, err := w.store.assemble(ctx, up, run, local.Within(run), &h)
	if err != nil {
		return
	}
	defer b.release()
	merged := w.fragment(run)
	if sum, err := w.store.putFragment(ctx, up.ID, merged, b.section(run.Start, run)); err == nil {
		w.stored(layout.WithSum(merged, sum))
		w.store.removeFragments(up, run, merged)
	}
}

// errMissingBytes means that no fragment has bytes which the upload's state lists as received.
var errMissingBytes = errors.New("received bytes not found in any fragment")

// assemble collects the bytes of r: those of local from h, the rest from fragments.
func (s *Store) assemble(ctx context.Context, up storage.Upload, r ranges.Range, local ranges.Set, h *pending) (*buffer, error) {
	b := &buffer{budget: s.budget}
	for at := r.Start; at < r.End; at = r.Start + b.size {
		var err error
		rest := ranges.Range{Start: at, End: r.End}
		switch run := local.Within(rest).First(); {
		case run.Empty():
			err = s.readFragment(ctx, up, rest, b)
		case run.Start > at:
			err = s.readFragment(ctx, up, ranges.Range{Start: at, End: run.Start}, b)
		default:
			_, err = b.fill(h.section(h.all.Start, run), b.size+run.Len())
		}
		if err == nil && b.size == at-r.Start {
			err = fmt.Errorf("assemble %s at %d: %w", up.ID, at, errMissingBytes)
		}
		if err != nil {
			b.release()
			return nil, err
		}
	}
	return b, nil
}

// readFragment appends to b the bytes of r, from its start on, that one fragment has.
func (s *Store) readFragment(ctx context.Context, up storage.Upload, r ranges.Range, b *buffer) error {
	for _, f := range layout.Fragments(up, ranges.Of(r.Start, 1)) {
		want := f.Intersect(r)
		body, err := s.client.Open(ctx, s.fragmentKey(up.ID, f), want.Start-f.Start, want.Len())
		if errors.Is(err, api.ErrMissing) {
			continue // merged into a longer one, which a reload of the state will show
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

// removeFragments schedules the removal of the fragments within r, except kept. All of r
// must be stored otherwise.
func (s *Store) removeFragments(up storage.Upload, r ranges.Range, kept storage.Extent) {
	var keys []string
	for _, f := range layout.Fragments(up, r) {
		if f.Name != kept.Name && r.Start <= f.Start && f.End <= r.End {
			keys = append(keys, s.fragmentKey(up.ID, f))
		}
	}
	s.needless.add(up.ID, keys...)
}
