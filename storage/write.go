package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/tracing"
)

// Write stores the bytes of a chunk, and returns the resulting state of the upload. If that
// completes the upload, it is finished before Write returns.
//
// Bytes that were received before stay, and the new ones for their offsets are
// dropped. If the body fails, the bytes before are stored and the error is
// ErrBodyAborted; if it exceeds the upload, it is ErrOutOfRange or ErrTooLarge. The
// upload is returned with these errors too. A store may choose the upload's layout by the
// length of the chunk; if the body implements CanAbort, Stop ends it. The whole body is
// stored only if the error is nil.
//
// Other errors: those of Get, ErrTooManyRanges.
func (u *Uploads) Write(ctx context.Context, id string, c Chunk) (_ Upload, err error) {
	ctx, end := tracing.Start(ctx, "write", id)
	defer func() { end(err) }()
	up, err := u.authorized(ctx, id)
	if err != nil {
		return Upload{}, err
	}
	// Ignore client disconnects from here on: bytes already received must be stored.
	ctx = context.WithoutCancel(ctx)
	in, err := u.checkWrite(up, c)
	if err != nil {
		return up, err
	}
	if up.Finished {
		_, _ = io.Copy(io.Discard, in)
		up, err = u.finalize(ctx, up)
		return up, errors.Join(in.err, err)
	}

	u.trackWrite(id)
	defer u.untrackWrite(id)
	defer u.addSource(id, c.Body)()
	w := &written{uploads: u, up: up.Clone()}
	in.flush = u.newFlushTimer(up)
	err = u.storeAll(ctx, up, c, in, func(p Extent) Upload { return w.add(ctx, p) })
	if errors.Is(err, ErrGone) || errors.Is(err, ErrNotFound) {
		u.invalidate(ctx, id)
		return up, errors.Join(err, u.undo(ctx, id))
	}
	latest, loadErr := w.latest(ctx, ranges.Of(c.Offset, in.n))
	if loadErr != nil {
		return up, errors.Join(err, loadErr)
	}
	if err != nil {
		return latest, err
	}
	latest, err = u.finalize(ctx, latest)
	return latest, errors.Join(in.err, err)
}

// written is the state of an upload as a Write knows it.
type written struct {
	uploads     *Uploads
	up          Upload
	cacheMissed bool // an extent of this write is not in the cache
}

// add adds an extent that the store has just stored, and returns the resulting state.
//
// The extent is durable: whatever happens to the cache here, no byte is lost. If Append fails,
// because the cache has no such entry or does not answer, the write goes on with its own state,
// and latest asks the store. A shared cache that failed drops what it has of the upload before
// it is used again.
func (w *written) add(ctx context.Context, p Extent) Upload {
	if known, err := w.uploads.cache.Append(ctx, w.up.ID, p); err == nil {
		w.up = known
	} else {
		w.cacheMissed = true
		w.up.Add(p)
	}
	known := w.up.Clone()
	if progress := w.uploads.opts.Observer.Progress; progress != nil {
		progress(ctx, known)
	}
	return known
}

// latest returns the state after the last extent. It is loaded if it lacks bytes of r, those
// of this write, or may lack extents of others. An upload that is gone is undone.
func (w *written) latest(ctx context.Context, r ranges.Range) (Upload, error) {
	if !w.cacheMissed && w.up.Has(r) {
		return w.up, nil
	}
	latest, err := w.uploads.refresh(ctx, w.up.ID, r, w.cacheMissed)
	if errors.Is(err, ErrGone) {
		err = errors.Join(err, w.uploads.undo(ctx, w.up.ID))
	}
	return latest, err
}

// storeAll stores the whole chunk, whose body is in: with one call of the store, or
// several if the chunk arrives more slowly than its flush timer expires.
func (u *Uploads) storeAll(ctx context.Context, up Upload, whole Chunk, in *body, stored func(Extent) Upload) error {
	known := up
	for {
		c := in.rest(whole)
		c.Exclusive = u.exclusive(up.ID)
		err := u.store.Write(ctx, known.Clone(), c, func(p Extent) Upload {
			in.flush.reset()
			known = stored(p)
			return known
		})
		if err != nil || !in.paused {
			return err
		}
		in.resume()
	}
}

// refresh returns the current state of the upload: from the cache if it has r, which
// another write may have reported, or else from the store. If the cache missed an
// extent of this write, other writes are unknown and only the store knows whether
// the upload is complete.
func (u *Uploads) refresh(ctx context.Context, id string, r ranges.Range, cacheMissed bool) (Upload, error) {
	if !cacheMissed {
		if up, err := u.cache.Get(ctx, id); err == nil && up.Has(r) {
			return up, nil
		}
	}
	return u.reload(ctx, id)
}

// checkWrite checks that a write may begin at the offset of a chunk, and limits how much it
// may read.
func (u *Uploads) checkWrite(up Upload, c Chunk) (*body, error) {
	in := &body{src: c.Body}
	offset, end := c.Offset, up.Size
	switch {
	case up.Size != Unknown:
		in.overflowErr = fmt.Errorf("%w: it has %d bytes", ErrOutOfRange, up.Size)
	case u.maxSize(up.Record) > 0:
		end = u.maxSize(up.Record)
		in.overflowErr = fmt.Errorf("%w: at most %d bytes are allowed", ErrTooLarge, end)
	default:
		end = math.MaxInt64
		in.overflowErr = ErrTooLarge
	}
	if offset < 0 {
		return nil, fmt.Errorf("%w: offset %d", ErrBadRequest, offset)
	}
	if offset > end {
		return nil, in.overflowErr
	}
	newRange := offset > 0 && !up.Received.Contains(ranges.Of(offset-1, 1))
	if newRange && up.Received.Count() >= MaxRanges {
		return nil, ErrTooManyRanges
	}
	in.left = end - offset
	return in, nil
}

func (u *Uploads) trackWrite(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.active[id]++
}

func (u *Uploads) untrackWrite(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.active[id]--; u.active[id] == 0 {
		delete(u.active, id)
		delete(u.flushed, id)
	}
}

// writing reports whether this process is writing to the upload.
func (u *Uploads) writing(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.active[id] > 0
}

// body reads at most left bytes of src and keeps its error. The store only sees
// io.EOF, so that it stores the bytes before the error.
type body struct {
	src         io.Reader
	left        int64
	overflowErr error // if src yields more than left bytes
	n           int64 // bytes read
	err         error // of src, nil after a proper end

	flush  *flushTimer // if set: when it expires, the body ends until it is resumed
	paused bool
}

// rest returns the remainder of a chunk, of which b is the body.
func (b *body) rest(c Chunk) Chunk {
	c.Offset += b.n
	if c.Length > 0 {
		c.Length = max(0, c.Length-b.n)
	} else {
		c.Length = Unknown
	}
	c.Body = b
	return c
}

// resume makes a paused body readable again.
func (b *body) resume() {
	b.paused = false
	b.flush.reset()
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil || b.paused {
		return 0, io.EOF
	}
	if b.left == 0 {
		return 0, b.probe()
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.src.Read(p)
	b.n += int64(n)
	b.left -= int64(n)
	if err != nil && err != io.EOF {
		b.err = fmt.Errorf("%w: %w", ErrBodyAborted, err)
		err = io.EOF
	}
	b.paused = err == nil && n > 0 && b.flush != nil && b.flush.expired()
	return n, err
}

// probe checks that src ends here.
func (b *body) probe() error {
	var one [1]byte
	n, err := io.ReadFull(b.src, one[:])
	switch {
	case n > 0:
		b.err = b.overflowErr
	case err != io.EOF:
		b.err = fmt.Errorf("%w: %w", ErrBodyAborted, err)
	}
	return io.EOF
}
