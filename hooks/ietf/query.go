package ietf

import (
	"errors"
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// takeoverTimeout is how long a query waits for an earlier request of the upload to end.
// After that it responds nevertheless: an append may begin below the current offset.
const takeoverTimeout = 5 * time.Second

// query responds with the offset at which the client can append. It ends an earlier request
// of the upload, most likely a broken one of this client, so that the offset is final.
func (x *exchange) query() error {
	unlock, err := x.takeOver()
	if err != nil {
		return err
	}
	defer unlock()
	if x.up, err = x.uploads.GetFlushed(x.r.Context(), x.id); err != nil {
		return err
	}
	h := x.w.Header()
	x.setState(h)
	transport.SetReprDigest(h, x.r, x.up)
	h.Set("Cache-Control", "no-store")
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// cancel ends an earlier request of the upload, and deletes it.
func (x *exchange) cancel() error {
	unlock, err := x.takeOver()
	if err != nil {
		return err
	}
	defer unlock()
	if err := x.uploads.Delete(x.r.Context(), x.id); err != nil {
		return err
	}
	x.setVersion(x.w.Header())
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// takeOver acquires the lock of the upload, or goes on without it after a while.
func (x *exchange) takeOver() (unlock func(), err error) {
	unlock, err = x.lock(x.id, min(takeoverTimeout, x.opts.LockTimeout))
	if errors.Is(err, storage.ErrLocked) {
		return func() {}, nil
	}
	return unlock, err
}
