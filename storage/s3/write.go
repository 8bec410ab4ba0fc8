package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// inFlight is how many parts of one chunk are uploaded concurrently while the next is read.
const inFlight = 2

// writer stores one chunk: run reads it slot by slot; readSlot fills a buffer; place has the
// layout decide what these bytes become (see layout.Layout.Decide). A whole slot becomes a
// part, in uploadPart; a slot of which the rest is in fragments is merged with them into one,
// in merge; what ends within a slot is put as a fragment.
type writer struct {
	store          *Store
	id             string
	active         *activity
	exclusive      storage.Exclusive // nil if no other process shares the data
	src            io.Reader
	hintsChunkSize bool // its length suggests where other chunks end
	onStored       func(storage.Extent) storage.Upload

	mu     sync.Mutex
	layout layout.Layout
	up     storage.Upload // as last known
	err    error          // the first of a part

	filling *filling        // the buffer that is being read into, nil at first
	puts    []chan struct{} // one per part that is being uploaded, closed at its end

	parts sync.WaitGroup
	sem   chan struct{} // limits parts in flight
}

// Write implements storage.Store.
func (s *Store) Write(ctx context.Context, up storage.Upload, c storage.Chunk, stored func(storage.Extent) storage.Upload) error {
	w := &writer{store: s, id: up.ID, src: c.Body, onStored: stored, up: up, hintsChunkSize: layout.HintsChunkSize(up, c), layout: s.plannedLayout(up, c), sem: make(chan struct{}, inFlight)}
	w.active, w.exclusive = s.active.join(up), c.Exclusive
	defer s.active.leave(w.active)
	defer s.track(w)()
	err := w.prepareLayout(ctx, c)
	if err == nil {
		err = w.run(ctx, c.Offset)
	}
	w.parts.Wait()
	if err == nil {
		err = w.failure()
	}
	if w.active.isGone() {
		return s.undo(ctx, "write", up, w.currentLayout())
	}
	return w.mapError(ctx, err)
}

// prepareLayout creates the layout before the first byte is stored, if the chunk will fill a
// slot. For a chunk of unknown length, which may be empty, it waits for the first byte.
func (w *writer) prepareLayout(ctx context.Context, c storage.Chunk) error {
	if w.ready() || c.Length == 0 || !w.hintsChunkSize {
		return nil
	}
	if _, slot := w.slot(c.Offset); c.Length != storage.Unknown && c.Length < slot.Len() {
		return nil
	}
	if c.Length == storage.Unknown && !w.awaitByte() {
		return nil
	}
	return w.createLayout(ctx)
}

// awaitByte waits for the first byte of the chunk, and reports whether there is one.
func (w *writer) awaitByte() bool {
	var first [1]byte
	n, _ := io.ReadFull(w.src, first[:]) // src itself records its error
	w.src = io.MultiReader(bytes.NewReader(first[:n]), w.src)
	return n > 0
}

func (w *writer) createLayout(ctx context.Context) error {
	l, err := w.store.createLayout(ctx, w.known(), w.currentLayout())
	if err == nil {
		w.setLayout(l)
	}
	return err
}

func (w *writer) setLayout(l layout.Layout) {
	w.mu.Lock()
	w.layout = l
	w.mu.Unlock()
	w.stored(l.Extent())
}

// ready reports whether parts can be uploaded. Until then, the layout is only a proposal.
func (w *writer) ready() bool {
	l := w.currentLayout()
	return l.UploadID != "" || w.store.single(l, w.known())
}

// adoptLayout adopts the layout that another chunk has created meanwhile, and reports whether
// there is one.
func (w *writer) adoptLayout() bool {
	if w.ready() {
		return false
	}
	l, ok := w.store.adoptLayout(w.known())
	if ok {
		w.setLayout(l)
	}
	return ok
}

// slot returns the part number and the range of the slot of the byte at offset.
func (w *writer) slot(offset int64) (int32, ranges.Range) {
	return w.currentLayout().Slot(offset, w.known().Size)
}

// run reads and stores the chunk slot by slot.
func (w *writer) run(ctx context.Context, offset int64) error {
	for w.failure() == nil && !w.active.isGone() {
		_, slot := w.slot(offset)
		rest := ranges.Range{Start: offset, End: slot.End}
		if rest.Empty() {
			_, _ = io.Copy(io.Discard, w.src) // the upload ends here; read src to its end
			return nil
		}
		if w.known().Has(rest) {
			n, err := io.CopyN(io.Discard, w.src, rest.Len())
			if err != nil {
				return nil // src itself records its error
			}
			offset += n
			continue
		}
		n, ended, err := w.readSlot(ctx, offset)
		if err != nil || ended {
			return err
		}
		offset += n
	}
	return nil
}

// readSlot reads the bytes of one slot from src, from offset on, and stores them. It returns
// how many they are, and whether src has ended.
func (w *writer) readSlot(ctx context.Context, offset int64) (n int64, ended bool, err error) {
	_, slot := w.slot(offset)
	b, start := &buffer{budget: w.store.budget}, offset
	if kept := w.store.tailCache.take(w.known(), offset, slot); kept != nil {
		b, start = kept.buffer, kept.Start
	}
	filling := w.beginFilling(b, start, offset, slot)
	ended, err = b.fill(w.src, slot.End-start)
	if err == nil && w.adoptLayout() && !ended {
		_, slot = w.slot(offset)
		filling.moved(slot)
		ended, err = b.fill(w.src, slot.End-start)
	}
	stored := filling.end()
	n = start + b.size - offset
	if err != nil || n == 0 {
		b.release()
		return n, ended, err
	}
	return n, ended, w.place(ctx, pending{buffer: b, all: ranges.Of(start, b.size), new: ranges.Range{Start: stored, End: offset + n}})
}

// pending is a buffer with consecutive bytes of an upload, of which the last, new, are to be
// stored. Those before are stored as fragments already.
type pending struct {
	*buffer
	all, new ranges.Range
}

// cachedTail is the range of the bytes before the new ones.
func (h pending) cachedTail() ranges.Range { return ranges.Range{Start: h.all.Start, End: h.new.Start} }

// place stores the new bytes of h: as the part if they complete the slot, or else as a
// fragment. It takes ownership of the buffer.
func (w *writer) place(ctx context.Context, h pending) error {
	number, slot := w.slot(h.new.Start)
	switch w.decide(h) {
	case layout.Put, layout.Verify:
		return w.placeWhole(ctx, number, slot, h)
	case layout.Merge:
		defer h.release()
		return w.merge(ctx, slot, h)
	}
	storedAll, err := w.placeFragments(ctx, h)
	trusted := storedAll && w.came(h).Fits(slot) // not if the layout has changed since
	if err == nil {
		err = w.compactPart(ctx, h, trusted)
	}
	if err == nil && trusted {
		w.store.tailCache.keep(w.known(), h.buffer, h.all)
	} else {
		h.release()
	}
	return err
}

// came describes h for a decision of the layout.
func (w *writer) came(h pending) layout.Came {
	return layout.Came{All: h.all, New: h.new, Ready: w.ready(), MayBegin: w.hintsChunkSize}
}

// decide returns what to do with the new bytes of h, as far as is known now.
func (w *writer) decide(h pending) layout.Action {
	return w.currentLayout().Decide(w.known(), w.came(h))
}

// startPart uploads a whole slot in the background while the next one is read. It takes
// ownership of the buffer, and calls unlock when the part is stored. Errors go to w.fail.
func (w *writer) startPart(ctx context.Context, number int32, slot ranges.Range, b *buffer, unlock func()) error {
	w.sem <- struct{}{}
	w.parts.Add(1)
	end := w.putting()
	go func() {
		defer w.parts.Done()
		defer end()
		defer func() { <-w.sem }()
		defer b.release()
		defer unlock()
		if err := w.uploadPart(ctx, number, slot, b); err != nil {
			w.fail(err)
		}
	}()
	return nil
}

// uploadPart stores a whole slot, and schedules the removal of its fragments.
func (w *writer) uploadPart(ctx context.Context, number int32, slot ranges.Range, b *buffer) error {
	before := w.known()
	extent, err := w.store.uploadPart(ctx, before, w.currentLayout(), number, slot, b)
	if err != nil {
		return err
	}
	w.stored(extent)
	w.store.removeFragments(before, slot, storage.Extent{})
	return nil
}

// uploadPart stores the bytes of a slot as its part or, if the slot is the whole upload, as
// the file.
func (s *Store) uploadPart(ctx context.Context, up storage.Upload, l layout.Layout, number int32, slot ranges.Range, b *buffer) (storage.Extent, error) {
	if s.single(l, up) {
		return s.putFile(ctx, up, b)
	}
	p, err := s.clientOf(l).PutPart(ctx, s.fileKey(up.Record), l.UploadID, number, b.reader(), b.size, b.sum)
	return layout.NewPart(number, slot, p.Tag()), err
}

func (s *Store) putFile(ctx context.Context, up storage.Upload, b *buffer) (storage.Extent, error) {
	if s.retired.has(up.ID) {
		return layout.NewFile(up.Size, up.CRC32C), nil // the app may have moved the file
	}
	o, err := s.file(up.Record)
	if err != nil {
		return storage.Extent{}, err
	}
	o.Body, o.Size, o.Sum, o.IfAbsent = b.reader(), b.size, b.sum, true
	if s.client.Can.Sums == api.SumsOff {
		o.Metadata[api.SumName] = b.sum.String()
	}
	err = s.client.Put(ctx, o)
	if errors.Is(err, api.ErrTaken) {
		existing, err := s.checkFile(ctx, up)
		return layout.NewFile(up.Size, existing.CRC32C), err
	}
	if err == nil {
		s.noteFile(up.Record)
	}
	return layout.NewFile(up.Size, &o.Sum), err
}

func (w *writer) known() storage.Upload {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.up
}

func (w *writer) currentLayout() layout.Layout {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.layout
}

func (w *writer) stored(p storage.Extent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up = w.onStored(p)
	w.active.add(p)
}

func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

func (w *writer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// mapError loads the upload to find the cause of a failed write. If another node has finished
// the upload, it discards the rest of the chunk and returns nil. If the upload was deleted, it
// returns that error, and otherwise err.
func (w *writer) mapError(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, storage.ErrContentConflict) {
		return err
	}
	w.store.dropCached(w.id)
	w.store.active.forget(w.id)
	up, loadErr := w.store.Load(ctx, w.id)
	switch {
	case loadErr == nil && up.Finished:
		w.stored(layout.NewFile(up.Size, up.CRC32C)) // or else a stale cache would keep the upload unfinished
		_, _ = io.Copy(io.Discard, w.src)
		return nil
	case errors.Is(loadErr, storage.ErrGone), errors.Is(loadErr, storage.ErrNotFound):
		return loadErr
	}
	if storage.Transient(err) || errors.Is(err, storage.ErrKeyTaken) {
		return err
	}
	return storage.Unavailable("write", w.id, err)
}
