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
	id        string
	wholeFile bool // there was no Content-Range
	hasLength bool // the length of the body is known beforehand
	says      *statement
	empty     bool // the body is empty, and the range is not
}

// readPut understands the headers of a PUT. Whatever contradicts itself is
// refused here, before anything is stored or created.
func (d *Handler) readPut(r *http.Request, id string) (put, error) {
	p := put{id: id, hasLength: r.ContentLength >= 0}
	if err := checkCoding(r.Header); err != nil {
		return p, err
	}
	if err := p.readRange(r); err != nil {
		return p, err
	}
	if err := p.checkLength(r.ContentLength); err != nil {
		return p, err
	}
	if limit := d.uploads.MaxSize(); limit > 0 && max(p.end, p.total) > limit {
		return p, fmt.Errorf("%w: at most %d bytes are allowed", storage.ErrTooLarge, limit)
	}
	return p, nil
}

// readRange reads the Content-Range, or finds that there is none and that nothing else
// makes the body a part of a file.
func (p *put) readRange(r *http.Request) (err error) {
	values := r.Header.Values("Content-Range")
	switch {
	case len(values) > 1:
		return fmt.Errorf("%w: more than one Content-Range", storage.ErrBadRequest)
	case len(values) == 0:
		p.wholeFile = true
		p.contentRange = contentRange{end: unknown, total: unknown}
		return checkWhole(r)
	case hasTusHeaders(r) || r.Header.Get("Upload-Offset") != "":
		return fmt.Errorf("%w: Content-Range together with headers of the tus protocol", storage.ErrBadRequest)
	}
	p.contentRange, err = parse(values[0])
	return err
}

// fit holds the length of the body, unknown if it is chunked, against the range.
func (p *put) checkLength(length int64) error {
	switch {
	case p.query && p.hasLength && length > 0:
		return mismatch(length, 0)
	case p.query || !p.hasLength:
		return nil
	case p.end != unknown:
		p.empty = length == 0 && p.start < p.end
		if length != p.end-p.start && !p.empty {
			return mismatch(length, p.end-p.start)
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

func mismatch(length, want int64) error {
	return fmt.Errorf("%w: the body has %d bytes, the range %d", storage.ErrBadRequest, length, want)
}

// put does what a PUT asks for, and returns the upload as it is then.
func (d *Handler) put(r *http.Request, p put, body *hooks.Body) (storage.Upload, error) {
	ctx := r.Context()
	switch {
	case p.query && p.total != 0:
		return d.query(ctx, p)
	case p.empty:
		return d.replay(ctx, p)
	case p.wholeFile:
		return d.putWhole(r, p, body)
	}
	up, err := d.open(ctx, p, r.Header)
	if err != nil {
		return up, err
	}
	switch {
	case p.alreadyStored(up) && p.end == unknown:
		return up, p.toEnd(up, body)
	case p.query || p.alreadyStored(up):
		body.Drain(r)
		return up, nil
	}
	return d.write(ctx, p, body)
}

// toEnd reads a body that is the end of a finished upload, if it has the length for that,
// which is not known beforehand.
func (p put) toEnd(up storage.Upload, body io.Reader) error {
	n, err := io.Copy(io.Discard, body)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", storage.ErrBodyAborted, err)
	case n != up.Size-p.start:
		return fmt.Errorf("%w: the body has %d bytes, the rest of the upload %d", errLength, n, up.Size-p.start)
	}
	return nil
}

// open returns the upload that the PUT is for. It creates it if there is none, and
// declares the size if the PUT is the first to name it.
func (d *Handler) open(ctx context.Context, p put, h http.Header) (storage.Upload, error) {
	up, err := d.getOrCreate(ctx, p, h)
	if err == nil {
		up, err = d.declare(ctx, p, up)
	}
	return up, err
}

// declare returns the upload with the size that the PUT names, if it fits.
func (d *Handler) declare(ctx context.Context, p put, up storage.Upload) (storage.Upload, error) {
	if err := p.checkAgainst(up); err != nil {
		return up, err
	}
	if p.total == unknown || up.Size != storage.Unknown {
		return up, nil
	}
	return d.uploads.SetSize(ctx, p.id, p.total)
}

// replay answers a PUT with an empty body and a range that is there already: clients
// are known that send a chunk again so, after its body was sent once.
func (d *Handler) replay(ctx context.Context, p put) (storage.Upload, error) {
	up, err := d.uploads.Get(ctx, p.id)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return up, mismatch(0, p.end-p.start)
	case err != nil:
		return up, err
	}
	if err := p.checkAgainst(up); err != nil {
		return up, err
	}
	if !p.alreadyStored(up) {
		return up, mismatch(0, p.end-p.start)
	}
	return d.declare(ctx, p, up)
}

// query answers "bytes */N" and "bytes */*": what is there? If no size has been
// declared yet and just N bytes are there, from the first on, it also says that
// this is all. It changes nothing otherwise.
func (d *Handler) query(ctx context.Context, p put) (storage.Upload, error) {
	up, err := d.uploads.Get(ctx, p.id)
	if err != nil || p.total == unknown {
		return up, err
	}
	if up.Size == storage.Unknown {
		if up.Offset() != p.total || up.Received.End() != p.total {
			return up, nil
		}
		return d.uploads.SetSize(ctx, p.id, p.total)
	}
	return up, p.checkAgainst(up)
}

func (d *Handler) getOrCreate(ctx context.Context, p put, h http.Header) (storage.Upload, error) {
	up, err := d.uploads.GetOrCreate(ctx, storage.Record{ID: p.id, Size: p.total, Metadata: metadata(h)})
	if err == nil {
		err = d.described.check(p, h, up)
	}
	return up, err
}

// agree returns an error if the PUT contradicts what the upload is.
func (p put) checkAgainst(up storage.Upload) error {
	if up.Size == storage.Unknown {
		return nil
	}
	if p.total != unknown && p.total != up.Size {
		return fmt.Errorf("%w: %d bytes now, %d before", storage.ErrSizeMismatch, p.total, up.Size)
	}
	if max(p.start, p.end) > up.Size {
		return fmt.Errorf("%w: it has %d bytes", storage.ErrOutOfRange, up.Size)
	}
	return nil
}

// stored tells whether everything that the body can bring is there already.
func (p put) alreadyStored(up storage.Upload) bool {
	if p.end == unknown {
		return up.Finished
	}
	return up.Finished || p.start < p.end && up.Has(ranges.Range{Start: p.start, End: p.end})
}

// write stores the body. One whose length is known only at its end is kept aside
// until that is seen to be right, if there is something to hold it against: what
// a client sends by mistake must not stand where its next try belongs.
func (d *Handler) write(ctx context.Context, p put, body source) (storage.Upload, error) {
	if !p.hasLength && p.end != unknown {
		return d.writeSpooled(ctx, p, body)
	}
	src := &counter{src: body}
	up, err := d.uploads.Write(ctx, p.id, p.start, src)
	if err != nil {
		return up, err
	}
	if p.end == unknown && p.total == unknown {
		return d.uploads.SetSize(ctx, p.id, p.start+src.n)
	}
	if p.end == unknown && !up.Has(ranges.Range{Start: p.start, End: p.total}) {
		return up, fmt.Errorf("%w: the body has %d bytes, the rest of the upload %d", errLength, src.n, p.total-p.start)
	}
	return up, nil
}

func (d *Handler) writeSpooled(ctx context.Context, p put, body io.Reader) (storage.Upload, error) {
	var spool hooks.Spool
	defer spool.Close()
	want := p.end - p.start
	cut := spool.Fill(io.LimitReader(body, want+1))
	if storage.Transient(cut) {
		return storage.Upload{}, cut
	}
	if spool.Size() > want || cut == nil && spool.Size() < want {
		return storage.Upload{}, fmt.Errorf("%w: the body does not have the %d bytes of its range", errLength, want)
	}
	src, err := spool.Reader()
	if err != nil {
		return storage.Upload{}, err
	}
	up, err := d.uploads.Write(ctx, p.id, p.start, src)
	if err == nil && cut != nil {
		err = fmt.Errorf("%w: %w", storage.ErrBodyAborted, cut)
	}
	return up, err
}

// errLength: a body whose length was not known beforehand is not as long as it has to be.
var errLength = fmt.Errorf("%w: another length", storage.ErrBadRequest)

// source is the body of a PUT.
type source interface {
	io.Reader
	storage.HasLength
}

// counter counts what is read through it.
type counter struct {
	src source
	n   int64
}

// Expect implements storage.Expecting.
func (c *counter) Length() int64 { return c.src.Length() }

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
