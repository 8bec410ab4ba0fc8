package ietf

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// append stores the content of a PATCH.
func (x *exchange) append() error {
	unlock, err := x.lock(x.id, x.opts.LockTimeout)
	if err != nil {
		return err
	}
	defer unlock()
	if x.up, err = x.uploads.Get(x.r.Context(), x.id); err != nil {
		return err
	}
	if x.offset > x.up.Offset() {
		return fmt.Errorf("%w: %d bytes were received, the content begins at %d", problem.ErrOffset, x.up.Offset(), x.offset)
	}
	return x.store()
}

// lock acquires the lock of an upload, which ends an earlier request that still holds it.
// A later one ends this request.
func (x *exchange) lock(id string, wait time.Duration) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(x.r.Context(), wait)
	defer cancel()
	return x.uploads.Lock(ctx, id, func() { x.body.Abort(problem.ErrSuperseded) })
}

// store stores the content at its offset, and responds.
func (x *exchange) store() error {
	err := x.checkEnd()
	if err == nil {
		err = x.write()
	}
	if x.endsUpload(err) {
		err = errors.Join(err, x.discard())
	}
	if err != nil {
		return err
	}
	x.respond()
	return nil
}

// endsUpload reports whether an error is the end of the upload: the file does not match its
// digest, or, in versions that demand it, there is more of it than its length. That can't be
// the doing of a creation on the URL of an older upload.
func (x *exchange) endsUpload(err error) bool {
	ours := x.id == "" || x.method == http.MethodPatch
	return errors.Is(err, errRejected) || errors.Is(err, storage.ErrChecksum) || ours && x.invalidates && errors.Is(err, storage.ErrOutOfRange)
}

// checkEnd compares the end of the content with the size of the upload, which it sets if
// the request is the first to declare it.
func (x *exchange) checkEnd() error {
	if size := x.size(); size != storage.Unknown {
		if err := x.setSize(size); err != nil {
			return err
		}
	}
	if x.up.Size != storage.Unknown && x.end() > x.up.Size {
		return fmt.Errorf("%w: it has %d bytes", storage.ErrOutOfRange, x.up.Size)
	}
	return nil
}

// setSize sets the size of the upload, which clients may repeat and not change.
func (x *exchange) setSize(size int64) error {
	if x.up.Size != storage.Unknown && x.up.Size != size {
		return fmt.Errorf("%w: %d bytes now, %d before", storage.ErrSizeMismatch, size, x.up.Size)
	}
	if x.up.Size == size {
		return nil
	}
	up, err := x.uploads.SetSize(x.r.Context(), x.up.ID, size)
	x.know(up)
	return err
}

// know records the state of the upload, unless there is none.
func (x *exchange) know(up storage.Upload) {
	if up.ID != "" {
		x.up = up
	}
}

// write stores the content, unless all of it was stored before: then it is only read, so
// that the client gets the response.
func (x *exchange) write() error {
	if x.method == http.MethodPatch && x.stored() && x.content >= 0 {
		x.body.Drain(x.r)
		return nil
	}
	src := x.newContent()
	defer src.close()
	var err error
	if x.stored() {
		err = src.readAll()
	} else {
		err = x.writeNew(src)
	}
	if err == nil && x.complete {
		err = x.setSize(x.offset + src.n)
	}
	if err == nil {
		err = src.compare()
	}
	return err
}

func (x *exchange) writeNew(src *content) error {
	up, err := x.uploads.Write(x.r.Context(), x.up.ID, storage.Chunk{Offset: x.offset, Length: x.body.Length(), Body: src.forStore()})
	x.know(up)
	return err
}

// stored reports whether there is nothing in the content that was not stored before.
func (x *exchange) stored() bool {
	if end := x.end(); end != storage.Unknown {
		return end == x.offset || x.up.Has(ranges.Range{Start: x.offset, End: end})
	}
	return x.up.Finished
}

// discard removes the upload unless it is finished.
func (x *exchange) discard() error {
	x.discarded = true
	_, err := x.uploads.DeleteIfUnfinished(x.r.Context(), x.up.ID)
	if errors.Is(err, storage.ErrGone) {
		return nil // the core has removed it
	}
	return err
}
