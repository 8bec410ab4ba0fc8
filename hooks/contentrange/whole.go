package contentrange

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
)

// putWhole stores a body that is the file: the range from 0 to L-1 of L, where L is its
// length. So what is there of it already is skipped, the rest is stored, and the same
// file again is answered as it was the first time. A body whose length is not known
// beforehand is held to the size of the upload, once that has one, and before declares it
// by its end.
//
// Only another file is refused: one of another length, or whose bytes are seen to differ.
func (d *Handler) putWhole(r *http.Request, p put, body *hooks.Body) (storage.Upload, error) {
	ctx := r.Context()
	wanted, want := context.WithCancel(context.WithoutCancel(ctx))
	defer want()
	unlock, err := d.lock(ctx, p.id, want)
	if err != nil {
		return storage.Upload{}, err
	}
	defer unlock()
	up, err := d.open(ctx, p, r.Header)
	if err != nil {
		return up, otherFile(err)
	}
	if p.end == unknown && up.Size != storage.Unknown {
		p.end, p.total = up.Size, up.Size
		body.LimitSpool(up.Size, errOtherLength)
	}
	file := &wholeFile{Body: body, known: d.begun.of(up)}
	if p.alreadyStored(up) {
		unlock()
		return up, otherFile(file.replay(r, up))
	}
	stop := context.AfterFunc(wanted, func() { body.Abort(hooks.ErrSuperseded) })
	defer stop()
	now, err := d.write(ctx, p, file)
	if err == nil || errors.Is(err, storage.ErrBodyAborted) { // all that was read is stored
		d.begun.remember(up, file.prefix)
	}
	if err == nil {
		file.compare(now)
	}
	return now, otherFile(errors.Join(file.differs, err))
}

// lock makes PUTs of whole files wait for each other: two different files at once
// must not become one. A new one takes the place of one that still runs, which is asked
// by letGo to end.
func (d *Handler) lock(ctx context.Context, id string, letGo func()) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, d.opts.LockTimeout)
	defer cancel()
	unlock, err = d.uploads.Lock(ctx, id, letGo)
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(unlock), nil
}

var (
	errDiffers     = fmt.Errorf("%w: it has other bytes", storage.ErrExists)
	errOtherLength = fmt.Errorf("%w: a file of another length is at this URL", storage.ErrExists)
)

// otherFile is the error for a whole file, given that for its range.
func otherFile(err error) error {
	switch {
	case errors.Is(err, errDiffers):
		return errDiffers
	case errors.Is(err, storage.ErrSizeMismatch), errors.Is(err, storage.ErrOutOfRange), errors.Is(err, errLength):
		return errOtherLength
	}
	return err
}

// wholeFile reads a whole file, and finds out if it is not the one that is known.
type wholeFile struct {
	*hooks.Body
	known   prefix // what is known of the file
	prefix         // what was read
	differs error  // errDiffers, once that is seen
}

// Read implements io.Reader. It yields nothing beyond a known prefix that differs.
func (f *wholeFile) Read(p []byte) (int, error) {
	if f.differs != nil {
		return 0, f.differs
	}
	if left := f.known.length - f.length; left > 0 {
		p = p[:min(int64(len(p)), left)]
	}
	n, err := f.Body.Read(p)
	f.add(p[:n])
	if n > 0 && f.length == f.known.length && f.sum != f.known.sum {
		f.differs = errDiffers
		return n, f.differs
	}
	return n, err
}

// replay reads a file that is there already to its end: a client that is answered before
// it has sent everything may not see the answer, and only the bytes say whether they are
// the same. If nothing is known of those, a client that waits to send them need not.
func (f *wholeFile) replay(r *http.Request, up storage.Upload) error {
	known := up.CRC32C != nil || f.known.length == up.Size
	if !known && r.ContentLength >= 0 && r.Header.Get("Expect") != "" {
		return nil
	}
	if err := (put{}).toEnd(up, f); err != nil {
		return errors.Join(f.differs, err)
	}
	return f.compare(up)
}

// compare returns errDiffers if the file that was read is not that of the upload.
func (f *wholeFile) compare(up storage.Upload) error {
	if up.Finished && up.CRC32C != nil && *up.CRC32C != f.sum {
		f.differs = errDiffers
	}
	return f.differs
}
