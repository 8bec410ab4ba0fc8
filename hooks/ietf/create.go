package ietf

import (
	"errors"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage"
)

// create creates an upload and stores the content. On the URL of an upload that exists it
// stores the content from its beginning, as if that were sent again.
func (x *exchange) create() error {
	if err := x.checkSizes(); err != nil {
		return err
	}
	resume := func() {}
	if x.resumable && x.announces() {
		// The 104 must not wait for content whose digest the core would verify first.
		resume = x.body.SuspendVerification()
	}
	unlock, err := x.open()
	resume()
	if err != nil {
		return err
	}
	defer unlock()
	x.location = x.opts.ContinueURL(x.r, x.up)
	x.announce()
	return x.store()
}

// checkSizes rejects a file that is too large, or content that exceeds its own file,
// before anything is created.
func (x *exchange) checkSizes() error {
	if limit := x.maxSize(); limit > 0 && max(x.length, x.end()) > limit {
		return fmt.Errorf("%w: at most %d bytes are allowed", storage.ErrTooLarge, limit)
	}
	if x.length != storage.Unknown && x.end() > x.length {
		return fmt.Errorf("%w: %s is %d", storage.ErrOutOfRange, uploadLength, x.length)
	}
	return nil
}

// open creates the upload, or finds the one of the id that the client has chosen. It
// returns with the lock of the upload, see lock.
func (x *exchange) open() (unlock func(), err error) {
	ctx := x.r.Context()
	meta, err := metadata(x.r.Header)
	if err != nil {
		return nil, err
	}
	rec := storage.Record{ID: x.id, Size: x.size(), Metadata: meta}
	if x.id == "" {
		if x.up, err = x.uploads.Create(ctx, rec); err != nil {
			return nil, err
		}
		return x.lock(x.up.ID, x.opts.LockTimeout)
	}
	if err := storage.CheckID(x.id); err != nil {
		return nil, err
	}
	if unlock, err = x.lock(x.id, x.opts.LockTimeout); err != nil {
		return nil, err
	}
	if x.up, err = x.uploads.GetOrCreate(ctx, rec); err == nil && rec.Size != storage.Unknown {
		err = x.setSize(rec.Size)
	}
	if errors.Is(err, storage.ErrSizeMismatch) {
		err = fmt.Errorf("%w: a file of another length is at this URL", storage.ErrExists)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}
