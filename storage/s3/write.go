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
	store   *Store
	id      string
	src     io.Reader
	teaches bool // its length tells where other chunks end
	tell    func(storage.Piece) storage.Upload

	mu     sync.Mutex
	layout layout
	up     storage.Upload // as last known
	err    error          // the first that a part met

	parts sync.WaitGroup
	slots chan struct{}
}

// Write implements storage.Store.
func (s *Store) Write(ctx context.Context, up storage.Upload, c storage.Chunk, stored func(storage.Piece) storage.Upload) error {
	w := &writer{store: s, id: up.ID, src: c.Body, tell: stored, up: up, teaches: teaches(up, c), layout: s.prospect(up, c), slots: make(chan struct{}, inFlight)}
	err := w.begin(ctx, c)
	if err == nil {
		err = w.run(ctx, c.Offset)
	}
	w.parts.Wait()
	if err == nil {
		err = w.failure()
	}
	return w.meaning(ctx, err)
}

// begin decides the layout before the first byte, if the chunk will fill a cell. For one
// of unknown length, which may stay empty, nothing is begun before that byte has come.
func (w *writer) begin(ctx context.Context, c storage.Chunk) error {
	if w.ready() || c.Length == 0 || !w.teaches {
		return nil
	}
	if _, cell := w.cell(c.Offset); c.Length != storage.Unknown && c.Length < cell.Len() {
		return nil
	}
	if c.Length == storage.Unknown && !w.await() {
		return nil
	}
	return w.decide(ctx)
}

// await waits for the first byte of the chunk, and tells whether there is one.
func (w *writer) await() bool {
	var first [1]byte
	n, _ := io.ReadFull(w.src, first[:]) // why src ended is its reader's concern
	w.src = io.MultiReader(bytes.NewReader(first[:n]), w.src)
	return n > 0
}

func (w *writer) decide(ctx context.Context) error {
	l, err := w.store.decide(ctx, w.known(), w.currentLayout())
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
func (w *writer) learn() bool {
	if w.ready() {
		return false
	}
	l, ok := w.store.learn(w.known())
	if ok {
		w.take(l)
	}
	return ok
}

// cell is the cell that holds the byte at offset.
func (w *writer) cell(offset int64) (int32, ranges.Range) {
	return w.currentLayout().cell(offset, w.known().Size)
}

// run reads the chunk cell by cell.
func (w *writer) run(ctx context.Context, offset int64) error {
	for w.failure() == nil {
		_, cell := w.cell(offset)
		rest := ranges.Range{Start: offset, End: cell.End}
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
		n, ended, err := w.readCell(ctx, offset)
		if err != nil || ended {
			return err
		}
		offset += n
	}
	return nil
}

// readCell reads what src has of a cell, from offset on, and stores it.
func (w *writer) readCell(ctx context.Context, offset int64) (n int64, ended bool, err error) {
	_, cell := w.cell(offset)
	b, start := &buffer{budget: w.store.budget}, offset
	if kept := w.store.tails.take(w.known(), offset, cell); kept != nil {
		b, start = kept.buffer, kept.Start
	}
	ended, err = b.fill(w.src, cell.End-start)
	if err == nil && w.learn() && !ended {
		_, cell = w.cell(offset)
		ended, err = b.fill(w.src, cell.End-start)
	}
	n = start + b.size - offset
	if err != nil || n == 0 {
		b.release()
		return n, ended, err
	}
	return n, ended, w.place(ctx, held{buffer: b, all: ranges.Of(start, b.size), fresh: ranges.Of(offset, n)})
}

// held is a buffer with a run of an upload's bytes. Those before the fresh ones
// are stored as fragments already.
type held struct {
	*buffer
	all, fresh ranges.Range
}

func (h held) tail() ranges.Range { return ranges.Range{Start: h.all.Start, End: h.fresh.Start} }

// place stores fresh bytes: as the part if they complete the cell, or else as a
// fragment. It takes the buffer over.
func (w *writer) place(ctx context.Context, h held) error {
	number, cell := w.cell(h.fresh.Start)
	received := w.known().Received.Within(cell)
	others := received.Minus(ranges.NewSet(h.tail()))
	if h.all == cell && others.Empty() && w.ready() {
		return w.put(ctx, number, cell, h.buffer)
	}
	inside := cell.Start <= h.all.Start && h.all.End <= cell.End // not so if the grid changed under it
	received.Add(h.fresh)
	if inside && received.Contains(cell) && (w.ready() || w.teaches) {
		defer h.release()
		return w.merge(ctx, cell, h)
	}
	alone, err := w.putFragments(ctx, h)
	if err == nil {
		err = w.tidyCell(ctx, cell, h, alone && inside)
	}
	if err == nil && alone && inside {
		w.store.tails.keep(w.known(), h.buffer, h.all)
	} else {
		h.release()
	}
	return err
}

// put sends a whole cell, while the next one is read, and takes the buffer over.
func (w *writer) put(ctx context.Context, number int32, cell ranges.Range, b *buffer) error {
	w.slots <- struct{}{}
	w.parts.Add(1)
	go func() {
		defer w.parts.Done()
		defer func() { <-w.slots }()
		defer b.release()
		if err := w.putCell(ctx, number, cell, b); err != nil {
			w.fail(err)
		}
	}()
	return nil
}

// putCell stores a whole cell, and has the fragments removed that it makes needless.
func (w *writer) putCell(ctx context.Context, number int32, cell ranges.Range, b *buffer) error {
	before := w.known()
	piece, err := w.store.putCell(ctx, before, w.currentLayout(), number, cell, b)
	if err != nil {
		return err
	}
	w.stored(piece)
	w.store.removeFragments(before, cell, storage.Piece{})
	return nil
}

// putCell stores the bytes of a cell as its part or, where the cell is the whole
// upload, as the file.
func (s *Store) putCell(ctx context.Context, up storage.Upload, l layout, number int32, cell ranges.Range, b *buffer) (storage.Piece, error) {
	if s.single(l, up) {
		return s.putFile(ctx, up, b)
	}
	p, err := s.client.putPart(ctx, s.fileKey(up.Record), l.UploadID, number, b.reader(), b.size, b.sum)
	return storage.Piece{Range: cell, Name: partName(number), Tag: p.tag()}, err
}

func (s *Store) putFile(ctx context.Context, up storage.Upload, b *buffer) (storage.Piece, error) {
	o, err := s.file(up.Record)
	if err != nil {
		return storage.Piece{}, err
	}
	o.body, o.size, o.sum, o.once = b.reader(), b.size, b.sum, true
	err = s.client.put(ctx, o)
	if errors.Is(err, errTaken) {
		err = s.checkFile(ctx, up)
	} else if err == nil {
		s.noteFile(up.Record)
	}
	return filePiece(up.Size), err
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

func (w *writer) stored(p storage.Piece) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up = w.tell(p)
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
func (w *writer) meaning(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	w.store.forget(w.id)
	up, lookErr := w.store.Load(ctx, w.id)
	switch {
	case lookErr == nil && up.Finished:
		w.stored(filePiece(up.Size)) // an index that does not know would keep the upload from being over
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
