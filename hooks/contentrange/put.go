package contentrange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// put is what a PUT asks for.
type put struct {
	contentRange
	id    string
	whole bool // there was no Content-Range
	sized bool // the length of the body is known beforehand
}

var errEncoded = errors.New("send the bytes as they are, without Content-Encoding")

// readPut understands the headers of a PUT. Whatever contradicts itself is
// refused here, before anything is stored or created.
func (d *Door) readPut(r *http.Request, id string) (put, error) {
	p := put{id: id, sized: r.ContentLength >= 0}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return p, errEncoded
	}
	values := r.Header.Values("Content-Range")
	switch {
	case len(values) > 1:
		return p, fmt.Errorf("%w: more than one Content-Range", storage.ErrBadRequest)
	case len(values) == 0:
		p.whole = true
		p.contentRange = contentRange{end: unknown, total: unknown}
	case speaksTus(r) || r.Header.Get("Upload-Offset") != "":
		return p, fmt.Errorf("%w: Content-Range together with headers of the tus protocol", storage.ErrBadRequest)
	default:
		var err error
		if p.contentRange, err = parse(values[0]); err != nil {
			return p, err
		}
	}
	if err := p.fit(r.ContentLength); err != nil {
		return p, err
	}
	if limit := d.uploads.MaxSize(); limit > 0 && max(p.end, p.total) > limit {
		return p, fmt.Errorf("%w: at most %d bytes are allowed", storage.ErrTooLarge, limit)
	}
	return p, nil
}

// fit holds the length of the body, unknown if it is chunked, against the range.
func (p *put) fit(length int64) error {
	mismatch := func(want int64) error {
		return fmt.Errorf("%w: the body has %d bytes, the range %d", storage.ErrBadRequest, length, want)
	}
	switch {
	case p.query && p.sized && length > 0:
		return mismatch(0)
	case p.query || !p.sized:
		return nil
	case p.end != unknown:
		if length != p.end-p.start {
			return mismatch(p.end - p.start)
		}
		return nil
	case length > math.MaxInt64-p.start:
		return fmt.Errorf("%w: offset %d and %d bytes", storage.ErrBadRequest, p.start, length)
	}
	// The end is where the body ends, and if no total was named, so is that.
	p.end = p.start + length
	if p.total == unknown {
		p.total = p.end
	}
	if p.end > p.total {
		return fmt.Errorf("%w: the body runs beyond the total of %d bytes", storage.ErrBadRequest, p.total)
	}
	return nil
}

// put does what a PUT asks for, and returns the upload as it is then.
func (d *Door) put(r *http.Request, p put, body *hooks.Body) (storage.Upload, error) {
	ctx := r.Context()
	if p.query && p.total != 0 {
		return d.query(ctx, p)
	}
	if p.whole {
		unlock, err := d.lock(ctx, p.id, body)
		if err != nil {
			return storage.Upload{}, err
		}
		defer unlock()
	}
	up, err := d.getOrCreate(ctx, p, r.Header)
	if err != nil {
		return up, err
	}
	if err := p.agree(up); err != nil {
		return up, err
	}
	if p.total != unknown && up.Size == storage.Unknown {
		if up, err = d.uploads.Declare(ctx, p.id, p.total); err != nil {
			return up, err
		}
	}
	if p.query || p.stored(up) {
		body.Drain(r)
		return up, nil
	}
	return d.write(ctx, p, body)
}

// query answers "bytes */N" and "bytes */*": what is there? If no size has been
// declared yet and just N bytes are there, from the first on, it also says that
// this is all. It changes nothing otherwise.
func (d *Door) query(ctx context.Context, p put) (storage.Upload, error) {
	up, err := d.uploads.Get(ctx, p.id)
	if err != nil || p.total == unknown {
		return up, err
	}
	if up.Size == storage.Unknown {
		if up.Offset() != p.total || up.Received.End() != p.total {
			return up, nil
		}
		return d.uploads.Declare(ctx, p.id, p.total)
	}
	return up, p.agree(up)
}

// lock makes PUTs of whole files wait for each other: two different files at once
// must not become one. A new one takes the place of one that still runs.
func (d *Door) lock(ctx context.Context, id string, body *hooks.Body) (func(), error) {
	ctx, cancel := context.WithTimeout(ctx, d.opts.LockTimeout)
	defer cancel()
	return d.uploads.Lock(ctx, id, func() { body.Cut(hooks.ErrReplaced) })
}

func (d *Door) getOrCreate(ctx context.Context, p put, h http.Header) (storage.Upload, error) {
	up, err := d.uploads.Get(ctx, p.id)
	if !errors.Is(err, storage.ErrNotFound) {
		return up, err
	}
	up, err = d.uploads.Create(ctx, storage.Record{ID: p.id, Size: p.total, Metadata: metadata(h)})
	if errors.Is(err, storage.ErrExists) {
		return d.uploads.Get(ctx, p.id)
	}
	return up, err
}

// agree returns an error if the PUT contradicts what the upload is.
func (p put) agree(up storage.Upload) error {
	if p.whole && !(up.Received.Empty() && up.Size == 0 || !up.Finished && up.Received.Empty()) {
		return errPartlyThere
	}
	if up.Size == storage.Unknown {
		return nil
	}
	if p.total != unknown && p.total != up.Size {
		return fmt.Errorf("%w: %d bytes now, %d before", storage.ErrSizeConflict, p.total, up.Size)
	}
	if max(p.start, p.end) > up.Size {
		return fmt.Errorf("%w: it has %d bytes", storage.ErrBeyondEnd, up.Size)
	}
	return nil
}

var errPartlyThere = fmt.Errorf("%w: bytes of this upload are there already: send the rest with a Content-Range, or choose another URL", storage.ErrExists)

// stored tells whether everything that the body can bring is there already.
func (p put) stored(up storage.Upload) bool {
	if p.end == unknown {
		return up.Finished
	}
	return up.Finished || p.start < p.end && up.Has(ranges.Range{Start: p.start, End: p.end})
}

// write stores the body. One whose length is known only at its end is kept aside
// until that is seen to be right, if there is something to hold it against: what
// a client sends by mistake must not stand where its next try belongs.
func (d *Door) write(ctx context.Context, p put, body *hooks.Body) (storage.Upload, error) {
	if p.end != unknown {
		body.LimitSpool(p.end - p.start)
	}
	if !p.sized && p.end != unknown {
		return d.writeSpooled(ctx, p, body)
	}
	src := &counter{src: body}
	up, err := d.uploads.Write(ctx, p.id, p.start, src)
	if err != nil {
		return up, err
	}
	if p.end == unknown && p.total == unknown {
		return d.uploads.Declare(ctx, p.id, p.start+src.n)
	}
	if p.end == unknown && !up.Has(ranges.Range{Start: p.start, End: p.total}) {
		return up, fmt.Errorf("%w: the body has %d bytes, the rest of the upload %d", storage.ErrBadRequest, src.n, p.total-p.start)
	}
	return up, nil
}

func (d *Door) writeSpooled(ctx context.Context, p put, body *hooks.Body) (storage.Upload, error) {
	var spool hooks.Spool
	defer spool.Close()
	want := p.end - p.start
	cut := spool.Fill(io.LimitReader(body, want+1))
	if storage.Transient(cut) {
		return storage.Upload{}, cut
	}
	if spool.Size() > want || cut == nil && spool.Size() < want {
		return storage.Upload{}, fmt.Errorf("%w: the body has not the %d bytes of its range", storage.ErrBadRequest, want)
	}
	src, err := spool.Reader()
	if err != nil {
		return storage.Upload{}, err
	}
	up, err := d.uploads.Write(ctx, p.id, p.start, src)
	if err == nil && cut != nil {
		err = fmt.Errorf("%w: %w", storage.ErrBody, cut)
	}
	return up, err
}

// counter counts what is read through it.
type counter struct {
	src *hooks.Body
	n   int64
}

// Expect implements storage.Expecting.
func (c *counter) Expect() int64 { return c.src.Expect() }

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.n += int64(n)
	return n, err
}

// metadata is what the headers of the first PUT tell about the file.
func metadata(h http.Header) map[string]string {
	meta := map[string]string{}
	if typ, _, err := mime.ParseMediaType(h.Get("Content-Type")); err == nil && typ != "application/x-www-form-urlencoded" {
		meta["filetype"] = typ
	}
	if _, params, err := mime.ParseMediaType(h.Get("Content-Disposition")); err == nil && params["filename"] != "" {
		meta["filename"] = params["filename"]
	}
	return meta
}
