package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// stallGuard is a RoundTripper that limits the time each read of a response body takes.
// Without it, a response that stalls in its body blocks its reader forever.
type stallGuard struct {
	next    http.RoundTripper
	timeout time.Duration // of one read
}

// RoundTrip implements http.RoundTripper.
func (g stallGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	resp, err := g.next.RoundTrip(r.WithContext(ctx))
	if err != nil || resp.Body == nil || resp.Body == http.NoBody {
		cancel()
		return resp, err
	}
	resp.Body = &guardedBody{ReadCloser: resp.Body, cancel: cancel, timeout: g.timeout}
	return resp, nil
}

// guardedBody is a response body that cancels the request when a read takes too long. The
// time between two reads does not count: the reader may be slow.
type guardedBody struct {
	io.ReadCloser
	cancel  context.CancelFunc // of the request
	timeout time.Duration
	stalled atomic.Bool
}

// Read implements io.Reader.
func (b *guardedBody) Read(p []byte) (int, error) {
	timer := time.AfterFunc(b.timeout, func() {
		b.stalled.Store(true)
		b.cancel()
	})
	n, err := b.ReadCloser.Read(p)
	timer.Stop()
	if err != nil && err != io.EOF && b.stalled.Load() {
		err = stallError{err}
	}
	return n, err
}

// Close implements io.Closer.
func (b *guardedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// stallError is the error of a read that timed out. It is transient.
type stallError struct{ error }

// Error implements error.
func (e stallError) Error() string { return "S3 response stalled: " + e.error.Error() }

// Unwrap returns ErrUnavailable rather than the cause, which is context.Canceled: no caller
// has cancelled the request.
func (e stallError) Unwrap() error { return storage.ErrUnavailable }

// Timeout and Temporary make the SDK retry the request, if it was still reading the response.
func (e stallError) Timeout() bool   { return true }
func (e stallError) Temporary() bool { return true }

// IsStalled reports whether err is that of a response that stalled.
func IsStalled(err error) bool {
	var stalled stallError
	return errors.As(err, &stalled)
}
