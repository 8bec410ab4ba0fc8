package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// inFlight is how many parts of one chunk go out at once while the next is read.
const inFlight = 2

// writer stores one chunk.
type writer struct {
	store          *Store
	id             string
	active         *activity
	others         storage.Exclusive // nil if no other process has to be asked
	src            io.Reader
	hintsChunkSize bool // its length tells where other chunks end
	onStored       func(storage.Extent) storage.Upload

	mu     sync.Mutex
	layout layout
	up     storage.Upload // as last known
	err    error          // the first that a part met

	filling *filling        // what is being read, nil at first
	puts    []chan struct{} // parts that are being put: each is closed at the end

	parts sync.WaitGroup
	slots chan struct{}
}

// Write implements storage.Store.
func (s *Store) Write(ctx context.Context, up storage.Upload, c storage.Chunk, stored func(storage.Extent) storage.Upload) error {
	w := &writer{store: s, id: up.ID, src: c.Body, onStored: stored, up: up, hintsChunkSize: hintsChunkSize(up, c), layout: s.plannedLayout(up, c), slots: make(chan struct{}, inFlight)}
	w.active, w.others = s.active.join(up), c.Exclusive
	defer s.active.leave(w.active)
	defer s.track(w)()
	err := w.begin(ctx, c)
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

// begin decides the layout before the first byte, if the chunk will fill a cell. For one
// of unknown length, which may stay empty, nothing is begun before that byte has come.
func (w *writer) begin(ctx context.Context, c storage.Chunk) error {
	if w.ready() || c.Length == 0 || !w.hintsChunkSize {
		return nil
	}
	if _, slot := w.cell(c.Offset); c.Length != storage.Unknown && c.Length < slot.Len() {
		return nil
	}
	if c.Length == storage.Unknown && !w.await() {
		return nil
	}
	return w.createLayout(ctx)
}

// await waits for the first byte of the chunk, and tells whether there is one.
func (w *writer) await() bool {
	var first [1]byte
	n, _ := io.ReadFull(w.src, first[:]) // why src ended is its reader's concern
	w.src = io.MultiReader(bytes.NewReader(first[:n]), w.src)
	return n > 0
}

func (w *writer) createLayout(ctx context.Context) error {
	l, err := w.store.createLayout(ctx, w.known(), w.currentLayout())
	if err == nil {
		w.take(l)
	}
	return err
}

func (w *writer) take(l layout) {
	w.mu.Lock()
	w.layout = l
	w.mu.Unlock()
	w.stored(l.piece())
}

// ready tells whether cells can be put. Before, the layout is only what it would be.
func (w *writer) ready() bool {
	l := w.currentLayout()
	return l.UploadID != "" || w.store.single(l, w.known())
}

// learn tells whether the layout was decided meanwhile, for another chunk.
func (w *writer) adoptLayout() bool {
	if w.ready() {
		return false
	}
	l, ok := w.store.adoptLayout(w.known())
	if ok {
		w.take(l)
	}
	return ok
}

// cell is the cell that holds the byte at offset.
func (w *writer) cell(offset int64) (int32, ranges.Range) {
	return w.currentLayout().slot(offset, w.known().Size)
}

// run reads the chunk cell by cell.
func (w *writer) run(ctx context.Context, offset int64) error {
	for w.failure() == nil && !w.active.isGone() {
		_, slot := w.cell(offset)
		rest := ranges.Range{Start: offset, End: slot.End}
		if rest.Empty() {
			_, _ = io.Copy(io.Discard, w.src) // it ends here, and has to be seen to
			return nil
		}
		if w.known().Has(rest) {
			n, err := io.CopyN(io.Discard, w.src, rest.Len())
			if err != nil {
				return nil // why src ended is its reader's concern
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

// readCell reads what src has of a cell, from offset on, and stores it.
func (w *writer) readSlot(ctx context.Context, offset int64) (n int64, ended bool, err error) {
	_, slot := w.cell(offset)
	b, start := &buffer{budget: w.store.budget}, offset
	if kept := w.store.tailCache.take(w.known(), offset, slot); kept != nil {
		b, start = kept.buffer, kept.Start
	}
	filling := w.beginFilling(b, start, offset, slot)
	ended, err = b.fill(w.src, slot.End-start)
	if err == nil && w.adoptLayout() && !ended {
		_, slot = w.cell(offset)
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

// held is a buffer with a run of an upload's bytes. Those before the fresh ones
// are stored as fragments already.
type pending struct {
	*buffer
	all, new ranges.Range
}

func (h pending) cachedTail() ranges.Range { return ranges.Range{Start: h.all.Start, End: h.new.Start} }

// place stores fresh bytes: as the part if they complete the cell, or else as a
// fragment. It takes the buffer over.
func (w *writer) place(ctx context.Context, h pending) error {
	number, slot := w.cell(h.new.Start)
	if h.all == slot && w.ready() {
		return w.placeWhole(ctx, number, slot, h)
	}
	received := w.known().Received.Within(slot)
	inside := slot.Start <= h.all.Start && h.all.End <= slot.End // not so if the grid changed under it
	received.Add(h.new)
	if inside && received.Contains(slot) && (w.ready() || w.hintsChunkSize) {
		defer h.release()
		return w.merge(ctx, slot, h)
	}
	alone, err := w.placeFragments(ctx, h)
	if err == nil {
		err = w.compactPart(ctx, slot, h, alone && inside)
	}
	if err == nil && alone && inside {
		w.store.tailCache.keep(w.known(), h.buffer, h.all)
	} else {
		h.release()
	}
	return err
}

// put sends a whole cell, while the next one is read, and takes the buffer over. The cell
// is released when it is there.
func (w *writer) put(ctx context.Context, number int32, slot ranges.Range, b *buffer, release func()) error {
	w.slots <- struct{}{}
	w.parts.Add(1)
	end := w.putting()
	go func() {
		defer w.parts.Done()
		defer end()
		defer func() { <-w.slots }()
		defer b.release()
		defer release()
		if err := w.uploadPart(ctx, number, slot, b); err != nil {
			w.fail(err)
		}
	}()
	return nil
}

// putCell stores a whole cell, and has the fragments removed that it makes needless.
func (w *writer) uploadPart(ctx context.Context, number int32, slot ranges.Range, b *buffer) error {
	before := w.known()
	piece, err := w.store.uploadPart(ctx, before, w.currentLayout(), number, slot, b)
	if err != nil {
		return err
	}
	w.stored(piece)
	w.store.removeFragments(before, slot, storage.Extent{})
	return nil
}

// putCell stores the bytes of a cell as its part or, where the cell is the whole
// upload, as the file.
func (s *Store) uploadPart(ctx context.Context, up storage.Upload, l layout, number int32, slot ranges.Range, b *buffer) (storage.Extent, error) {
	if s.single(l, up) {
		return s.putFile(ctx, up, b)
	}
	p, err := s.client.putPart(ctx, s.fileKey(up.Record), l.UploadID, number, b.reader(), b.size, b.sum)
	return storage.Extent{Range: slot, Name: partName(number), Meta: p.tag()}, err
}

func (s *Store) putFile(ctx context.Context, up storage.Upload, b *buffer) (storage.Extent, error) {
	if s.retired.has(up.ID) {
		return filePiece(up.Size, up.CRC32C), nil // the app may have moved it
	}
	o, err := s.file(up.Record)
	if err != nil {
		return storage.Extent{}, err
	}
	o.body, o.size, o.sum, o.ifAbsent = b.reader(), b.size, b.sum, true
	if !s.client.checksums {
		o.metadata[sumName] = b.sum.String()
	}
	err = s.client.put(ctx, o)
	if errors.Is(err, errTaken) {
		there, err := s.checkFile(ctx, up)
		return filePiece(up.Size, there.CRC32C), err
	}
	if err == nil {
		s.noteFile(up.Record)
	}
	return filePiece(up.Size, &o.sum), err
}

func (w *writer) known() storage.Upload {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.up
}

func (w *writer) currentLayout() layout {
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

// meaning finds out what an error means: that another node has finished the
// upload, so that nothing needs to be written any more, that it was deleted, or no
// more than it says.
func (w *writer) mapError(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, storage.ErrContentConflict) {
		return err
	}
	w.store.dropCached(w.id)
	w.store.active.forget(w.id)
	up, lookErr := w.store.Load(ctx, w.id)
	switch {
	case lookErr == nil && up.Finished:
		w.stored(filePiece(up.Size, up.CRC32C)) // an index that does not know would keep the upload from being over
		_, _ = io.Copy(io.Discard, w.src)
		return nil
	case errors.Is(lookErr, storage.ErrGone), errors.Is(lookErr, storage.ErrNotFound):
		return lookErr
	}
	if storage.Transient(err) || errors.Is(err, storage.ErrKeyTaken) {
		return err
	}
	return storage.Unavailable("write", w.id, err)
}
