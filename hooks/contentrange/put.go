package contentrange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// put is a parsed PUT request.
type put struct {
	contentRange
	id        string
	create    bool // the upload is created if it does not exist
	wholeFile bool // there was no Content-Range
	hasLength bool // the length of the body is known in advance
	declared  *declaration
	empty     bool // the body is empty, but its range is not
}

// readPut parses the headers of a PUT. It rejects contradictory ones before anything is
// created or stored.
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

// readRange parses the Content-Range. Without one the body is the whole file, unless other
// header fields mark it as a part.
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
	if err := checkSession(r); err != nil {
		return err
	}
	p.contentRange, err = parse(values[0])
	return err
}

// checkLength compares the length of the body with the range, and completes the range from
// it. The length is not known if the body is sent chunked.
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
	// The range ends with the body, and if there is no total, so does the file.
	p.end = p.start + length
	if p.total == unknown {
		p.total = p.end
	}
	if p.end > p.total {
		return fmt.Errorf("%w: the body exceeds the total of %d bytes", storage.ErrBadRequest, p.total)
	}
	return nil
}

func mismatch(length, want int64) error {
	return fmt.Errorf("%w: the body has %d bytes, the range %d", storage.ErrBadRequest, length, want)
}

// put executes a PUT, and returns the resulting state of the upload.
func (d *Handler) put(r *http.Request, p put, body *transport.Body) (storage.Upload, error) {
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
		return up, p.checkRest(up, body)
	case p.query || p.alreadyStored(up):
		body.Drain(r)
		return up, nil
	}
	return d.write(ctx, p, body)
}

// checkRest reads a body of unknown length, sent for the end of a finished upload, and
// returns errLength if it is longer or shorter than that.
func (p put) checkRest(up storage.Upload, body io.Reader) error {
	n, err := io.Copy(io.Discard, body)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", storage.ErrBodyAborted, err)
	case n != up.Size-p.start:
		return fmt.Errorf("%w: the body has %d bytes, the rest of the upload %d", errLength, n, up.Size-p.start)
	}
	return nil
}

// open returns the upload that the PUT is for. It creates the upload if it does not exist,
// and sets its size if the PUT is the first with a total.
func (d *Handler) open(ctx context.Context, p put, h http.Header) (storage.Upload, error) {
	up, err := d.checkedUpload(ctx, p, h)
	if err == nil {
		up, err = d.setSize(ctx, p, up)
	}
	return up, err
}

// setSize sets the size of the upload to the total of the PUT, unless it is known already.
func (d *Handler) setSize(ctx context.Context, p put, up storage.Upload) (storage.Upload, error) {
	if err := p.checkAgainst(up); err != nil {
		return up, err
	}
	if p.total == unknown || up.Size != storage.Unknown {
		return up, nil
	}
	return d.uploads.SetSize(ctx, p.id, p.total)
}

// replay handles a PUT with an empty body and a range that is stored already: some clients
// repeat a chunk in this way, after they have sent its body once.
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
	return d.setSize(ctx, p, up)
}

// query handles "bytes */N" and "bytes */*", which ask for the state. If the size is not
// known yet and exactly the first N bytes are stored, it also sets the size to N. Otherwise
// it changes nothing.
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

// checkedUpload returns the upload of the PUT, unless what the PUT declares of its file
// contradicts others.
func (d *Handler) checkedUpload(ctx context.Context, p put, h http.Header) (storage.Upload, error) {
	up, err := d.find(ctx, p, h)
	if err == nil {
		err = d.descriptions.check(p, h, up)
	}
	return up, err
}

// find returns the upload of the PUT, and creates it if the PUT may do so.
func (d *Handler) find(ctx context.Context, p put, h http.Header) (storage.Upload, error) {
	if !p.create {
		return d.uploads.Get(ctx, p.id)
	}
	rec := storage.Record{ID: p.id, Size: p.total, Metadata: metadata(h)}
	if err := d.verifyFirst(ctx, rec); err != nil {
		return storage.Upload{}, err
	}
	return d.uploads.GetOrCreate(ctx, rec)
}

// verifyFirst verifies the digests of a body that may create an upload before others wait
// for the creation: the body may be slow.
func (d *Handler) verifyFirst(ctx context.Context, rec storage.Record) error {
	if !protocol.ExchangeOf(ctx).Body.HasDigest() {
		return nil
	}
	if _, err := d.uploads.Get(ctx, rec.ID); !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return protocol.AdmitVerified(ctx, &rec)
}

// checkAgainst returns an error if the total or the range contradicts the upload's size.
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

// alreadyStored reports whether all bytes of the range are stored already.
func (p put) alreadyStored(up storage.Upload) bool {
	if p.end == unknown {
		return up.Finished
	}
	return up.Finished || p.start < p.end && up.Has(ranges.Range{Start: p.start, End: p.end})
}

// write stores the body. A body of unknown length with a complete range is spooled until
// its length is verified: bytes sent by mistake must not take the place of the correct ones.
func (d *Handler) write(ctx context.Context, p put, body source) (storage.Upload, error) {
	if !p.hasLength && p.end != unknown {
		return d.writeSpooled(ctx, p, body)
	}
	up, err := d.uploads.Write(ctx, p.id, storage.Chunk{Offset: p.start, Length: body.Length(), Body: body})
	if err != nil {
		return up, err
	}
	if p.end == unknown && p.total == unknown {
		return d.uploads.SetSize(ctx, p.id, p.start+body.Received())
	}
	if p.end == unknown && !up.Has(ranges.Range{Start: p.start, End: p.total}) {
		return up, fmt.Errorf("%w: the body has %d bytes, the rest of the upload %d", errLength, body.Received(), p.total-p.start)
	}
	return up, nil
}

func (d *Handler) writeSpooled(ctx context.Context, p put, body io.Reader) (storage.Upload, error) {
	spool := d.opts.Spools.New()
	defer spool.Close()
	want := p.end - p.start
	bodyErr := spool.Fill(io.LimitReader(body, want+1))
	if storage.Transient(bodyErr) || errors.Is(bodyErr, storage.ErrBadRequest) || errors.Is(bodyErr, storage.ErrTooLarge) {
		return storage.Upload{}, bodyErr
	}
	if spool.Size() > want || bodyErr == nil && spool.Size() < want {
		return storage.Upload{}, fmt.Errorf("%w: the body does not have the %d bytes of its range", errLength, want)
	}
	src, err := spool.Reader()
	if err != nil {
		return storage.Upload{}, err
	}
	up, err := d.uploads.Write(ctx, p.id, storage.Chunk{Offset: p.start, Body: src})
	if err == nil && bodyErr != nil {
		err = fmt.Errorf("%w: %w", storage.ErrBodyAborted, bodyErr)
	}
	return up, err
}

// errLength is the error for a body of unknown length that turned out too long or too short.
var errLength = fmt.Errorf("%w: wrong length", storage.ErrBadRequest)

// source is the body of a PUT.
type source interface {
	io.Reader
	Length() int64 // storage.Unknown if it is not known
	storage.CanAbort
	// Received returns how many bytes of the body have arrived.
	Received() int64
}

// metadata returns the file's type and name from the headers of the first PUT.
func metadata(h http.Header) map[string]string {
	meta := map[string]string{}
	if typ, _, err := mime.ParseMediaType(h.Get("Content-Type")); err == nil && typ != "application/x-www-form-urlencoded" {
		meta["filetype"] = typ
	}
	if name := protocol.Filename(h); name != "" {
		meta["filename"] = name
	}
	return meta
}
