package contentrange

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// putWhole stores a body that is the whole file: the range 0 to L-1 of L, where L is its
// length. So bytes that are stored already are skipped, the rest is stored, and repeating
// the same file returns the same response. A body of unknown length must match the size of
// the upload, or sets it if that is not known either.
//
// A different file is rejected: one of another length, or with bytes that are known to differ.
func (d *Handler) putWhole(r *http.Request, p put, body *transport.Body) (storage.Upload, error) {
	ctx := r.Context()
	contended, onContended := context.WithCancel(context.WithoutCancel(ctx))
	defer onContended()
	unlock, err := d.lock(ctx, p.id, onContended)
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
	file := &wholeFile{Body: body, known: d.prefixes.of(up)}
	if p.alreadyStored(up) {
		unlock()
		return up, otherFile(file.replay(r, up))
	}
	stop := context.AfterFunc(contended, func() { body.Abort(problem.ErrSuperseded) })
	defer stop()
	now, err := d.write(ctx, p, file)
	if err == nil || errors.Is(err, storage.ErrBodyAborted) { // all that was read is stored
		d.prefixes.remember(up, file.prefix)
	}
	if err == nil {
		file.compare(now)
	}
	return now, otherFile(errors.Join(file.differs, err))
}

// lock serializes the PUTs of whole files, so that two different files cannot be mixed. A
// new PUT supersedes one in progress, whose onContended is called to abort it.
func (d *Handler) lock(ctx context.Context, id string, onContended func()) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, d.opts.LockTimeout)
	defer cancel()
	unlock, err = d.uploads.Lock(ctx, id, onContended)
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(unlock), nil
}

var (
	errDiffers     = fmt.Errorf("%w: it has other bytes", storage.ErrExists)
	errOtherLength = fmt.Errorf("%w: a file of another length is at this URL", storage.ErrExists)
)

// otherFile converts an error about the range of a whole file into one about the file.
func otherFile(err error) error {
	switch {
	case errors.Is(err, errDiffers):
		return errDiffers
	case errors.Is(err, storage.ErrSizeMismatch), errors.Is(err, storage.ErrOutOfRange), errors.Is(err, errLength):
		return errOtherLength
	}
	return err
}

// wholeFile reads a whole file, and compares it with the known prefix of the upload.
type wholeFile struct {
	*transport.Body
	known   prefix // of the stored file
	prefix         // of the bytes read
	differs error  // errDiffers once the two differ
}

// Read implements io.Reader. It returns no bytes after a prefix that differs.
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

// replay reads a file that is stored already to its end: a client may miss a response that
// is sent before it has sent everything, and only the bytes show whether the file is the
// same. If no checksum is known, a client that waits for 100 Continue need not send them.
func (f *wholeFile) replay(r *http.Request, up storage.Upload) error {
	known := up.CRC32C != nil || f.known.length == up.Size
	if !known && r.ContentLength >= 0 && r.Header.Get("Expect") != "" {
		return nil
	}
	if err := (put{}).checkRest(up, f); err != nil {
		return errors.Join(f.differs, err)
	}
	return f.compare(up)
}

// compare returns errDiffers if the checksum of the bytes read is not the upload's.
func (f *wholeFile) compare(up storage.Upload) error {
	if up.Finished && up.CRC32C != nil && *up.CRC32C != f.sum {
		f.differs = errDiffers
	}
	return f.differs
}
