package transport

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
)

// Decompress undoes the Content-Encoding of the request r, which it changes. Some libraries
// of Google and Microsoft compress what they send; ranges count the bytes before that, and so
// do quotas. It returns problem.ErrMediaType for another encoding than gzip. Call it before
// the first Read.
func (b *Body) Decompress(r *http.Request) error {
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip":
		b.src = &decoder{ReadCloser: b.src}
		b.length, r.ContentLength = -1, -1
		r.Header.Del("Content-Encoding")
	default:
		return fmt.Errorf("%w: the Content-Encoding %.30q", problem.ErrMediaType, encoding)
	}
	return nil
}

// decoder decompresses a body.
type decoder struct {
	io.ReadCloser
	gzip *gzip.Reader // nil before the first read
	err  error
}

// Read implements io.Reader. It returns storage.ErrBadRequest if the body is not valid gzip.
func (d *decoder) Read(p []byte) (n int, err error) {
	if d.err != nil {
		return 0, d.err
	}
	if d.gzip == nil {
		d.gzip, d.err = gzip.NewReader(compressedBody{d})
	}
	if d.err == nil {
		n, d.err = d.gzip.Read(p)
	}
	d.err = asBadRequest(d.err)
	return n, d.err
}

// compressedBody is the compressed body of a decoder.
type compressedBody struct{ *decoder }

// Read implements io.Reader. It marks the errors of the body.
func (s compressedBody) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = &bodyError{err}
	}
	return n, err
}

// bodyError is an error of the body itself, and not of its compression.
type bodyError struct{ error }

func (e *bodyError) Unwrap() error { return e.error }

// asBadRequest converts an error of decompression.
func asBadRequest(err error) error {
	var body *bodyError
	switch {
	case err == nil, err == io.EOF:
		return err
	case errors.As(err, &body):
		return body.error
	}
	return fmt.Errorf("%w: the body is not valid gzip: %w", storage.ErrBadRequest, err)
}
