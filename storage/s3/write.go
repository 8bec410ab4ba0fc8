package s3

import (
	"context"
	"errors"
	"fmt"
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
	w := &writer{store: s, src: c.Body, tell: stored, up: up, teaches: teaches(up, c), layout: s.prospect(up, c), slots: make(chan struct{}, inFlight)}
	err := w.begin(ctx, c)
	if err == nil {
		err = w.run(ctx, c.Offset)
	}
	w.parts.Wait()
	if err == nil {
		err = w.failure()
	}
	return w.gone(ctx, err)
}

// begin decides the layout before the first byte, if the chunk will fill a cell.
func (w *writer) begin(ctx context.Context, c storage.Chunk) error {
	l := w.layout
	if l.UploadID != "" || l.single(w.up) || c.Length == 0 || !w.teaches {
		return nil
	}
	if _, cell := l.cell(c.Offset, w.up.Size); c.Length != storage.Unknown && c.Length < cell.Len() {
		return nil
	}
	return w.decide(ctx)
}

func (w *writer) decide(ctx context.Context) error {
	l, err := w.store.decide(ctx, w.up, w.layout)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.layout = l
	w.mu.Unlock()
	w.stored(l.piece())
	return nil
}

// run reads the chunk cell by cell.
func (w *writer) run(ctx context.Context, offset int64) error {
	for w.failure() == nil {
		number, cell := w.layout.cell(offset, w.known().Size)
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
		n, ended, err := w.readCell(ctx, number, cell, offset)
		if err != nil || ended {
			return err
		}
		offset += n
	}
	return nil
}

// readCell reads what src has of a cell, from offset on, and stores it.
func (w *writer) readCell(ctx context.Context, number int32, cell ranges.Range, offset int64) (n int64, ended bool, err error) {
	b, start := &buffer{budget: w.store.budget}, offset
	if kept := w.store.tails.take(w.up.ID, offset, cell); kept != nil {
		b, start = kept.buffer, kept.Start
	}
	ended, err = b.fill(w.src, cell.End-start)
	n = start + b.size - offset
	if err != nil || n == 0 {
		b.release()
		return n, ended, err
	}
	h := held{buffer: b, all: ranges.Of(start, b.size), fresh: ranges.Of(offset, n)}
	return n, ended, w.place(ctx, number, cell, h)
}

// held is a buffer with a run of an upload's bytes. Those before the fresh ones
// are stored as fragments already.
type held struct {
	*buffer
	all, fresh ranges.Range
}

// place stores fresh bytes: as the part if they complete the cell, or else as a
// fragment. It takes the buffer over.
func (w *writer) place(ctx context.Context, number int32, cell ranges.Range, h held) error {
	up := w.known()
	received := up.Received.Within(cell)
	untouched := received.Minus(ranges.NewSet(ranges.Range{Start: h.all.Start, End: h.fresh.Start})).Empty()
	ready := w.currentLayout().UploadID != "" || w.currentLayout().single(up)
	if h.all == cell && untouched && ready {
		return w.put(ctx, number, cell, h.buffer)
	}
	received.Add(h.fresh)
	if received.Contains(cell) && (ready || w.teaches) {
		defer h.release()
		return w.merge(ctx, number, cell, h)
	}
	if err := w.putFragments(ctx, h); err != nil {
		h.release()
		return err
	}
	w.store.tails.keep(w.up.ID, h.buffer, h.all)
	return w.tidyCell(ctx, number, cell)
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

// putCell stores a whole cell, and removes the fragments that it makes needless.
func (w *writer) putCell(ctx context.Context, number int32, cell ranges.Range, b *buffer) error {
	before := w.known()
	piece, err := w.store.putCell(ctx, before, w.currentLayout(), number, cell, b)
	if err != nil {
		return err
	}
	w.stored(piece)
	w.store.removeFragments(ctx, before, cell)
	return nil
}

// putCell stores the bytes of a cell as its part or, where the cell is the whole
// upload, as the file.
func (s *Store) putCell(ctx context.Context, up storage.Upload, l layout, number int32, cell ranges.Range, b *buffer) (storage.Piece, error) {
	if l.single(up) {
		return s.putFile(ctx, up, b)
	}
	p, err := s.client.putPart(ctx, s.fileKey(up.ID), l.UploadID, number, b.reader(), b.size, b.sum)
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
	}
	return storage.Piece{Range: ranges.Range{End: up.Size}, Name: fileName}, err
}

// checkFile returns nil if the file is there with its size, ErrGone if it is not.
func (s *Store) checkFile(ctx context.Context, up storage.Upload) error {
	_, err := s.withFile(ctx, up, true)
	return err
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

// gone finds out what it means that the multipart upload is not there any more:
// that another node has finished it, or that it was deleted.
func (w *writer) gone(ctx context.Context, err error) error {
	if !errors.Is(err, errNoUpload) {
		return err
	}
	w.store.forget(w.up.ID)
	up, err := w.store.Load(ctx, w.up.ID)
	if err != nil || up.Finished {
		return err
	}
	return storage.Unavailable("write", up.ID, fmt.Errorf("%w, and then there was", errNoUpload))
}
