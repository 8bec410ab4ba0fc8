package s3

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

var _ storage.Flusher = (*Store)(nil)

// Flush implements storage.Flusher: it stores the bytes that running writes have buffered
// as fragments, and waits for the parts that they are uploading.
func (s *Store) Flush(ctx context.Context, id string) error {
	s.mu.Lock()
	writers := slices.Clone(s.writers[id])
	s.mu.Unlock()
	var errs []error
	for _, w := range writers {
		errs = append(errs, w.flush(ctx))
	}
	return errors.Join(errs...)
}

// track registers a writer for Flush until the returned function is called.
func (s *Store) track(w *writer) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers[w.id] = append(s.writers[w.id], w)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		rest := slices.DeleteFunc(s.writers[w.id], func(o *writer) bool { return o == w })
		if s.writers[w.id] = rest; len(rest) == 0 {
			delete(s.writers, w.id)
		}
	}
}

// filling is a buffer that a writer is filling with the bytes of a slot, and that Flush
// may store from another goroutine meanwhile.
type filling struct {
	buffer *buffer
	start  int64 // the offset of its first byte

	mu     sync.Mutex // held during a flush
	slot   ranges.Range
	stored int64 // offset of the first byte that is not in a fragment
	ended  bool
}

// beginFilling makes b, which begins at start, available to flush. The bytes from offset
// on are not stored yet.
func (w *writer) beginFilling(b *buffer, start, offset int64, slot ranges.Range) *filling {
	f := &filling{buffer: b, start: start, slot: slot, stored: offset}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.filling = f
	return f
}

// moved changes the slot, after the layout was created.
func (f *filling) moved(slot ranges.Range) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slot = slot
}

// end waits for a running flush, and prevents further ones. It returns the offset of the
// first byte that was not flushed.
func (f *filling) end() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	return f.stored
}

// flush stores what the writer has read so far.
func (w *writer) flush(ctx context.Context) error {
	w.mu.Lock()
	f, puts := w.filling, slices.Clone(w.puts)
	w.mu.Unlock()
	var err error
	if f != nil {
		err = w.flushFilling(ctx, f)
	}
	for _, done := range puts {
		select {
		case <-done:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
	return err
}

func (w *writer) flushFilling(ctx context.Context, f *filling) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.buffer.snapshot()
	// Leave the last byte of the slot to the writer, which then uploads the part.
	unflushed := ranges.Range{Start: f.stored, End: min(f.start+b.size, f.slot.End-1)}
	if f.ended || unflushed.Empty() || !w.currentLayout().MayFlush(w.known(), f.stored) {
		return nil
	}
	storedAll, err := w.putFragments(ctx, pending{buffer: b, all: ranges.Range{Start: f.start, End: unflushed.End}, new: unflushed})
	if err == nil && storedAll {
		f.stored = unflushed.End
	}
	return err
}

// putting records that a part is being uploaded until the returned function is called.
func (w *writer) putting() (end func()) {
	done := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.puts = append(w.puts, done)
	return func() {
		w.mu.Lock()
		w.puts = slices.DeleteFunc(w.puts, func(o chan struct{}) bool { return o == done })
		w.mu.Unlock()
		close(done)
	}
}
