package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// stallGuard fails the reading of an answer whose next bytes do not come for long: else
// one that stalls in its body is waited for for ever.
type stallGuard struct {
	next     http.RoundTripper
	patience time.Duration
}

// RoundTrip implements http.RoundTripper.
func (g stallGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	answer, err := g.next.RoundTrip(r.WithContext(ctx))
	if err != nil || answer.Body == nil || answer.Body == http.NoBody {
		cancel()
		return answer, err
	}
	answer.Body = &guardedBody{ReadCloser: answer.Body, cancel: cancel, patience: g.patience}
	return answer, nil
}

// guardedBody is the body of an answer. Only while it is read does time count: who reads
// may be slow.
type guardedBody struct {
	io.ReadCloser
	cancel   context.CancelFunc // ends the request
	patience time.Duration
	stalled  atomic.Bool
}

// Read implements io.Reader.
func (b *guardedBody) Read(p []byte) (int, error) {
	alarm := time.AfterFunc(b.patience, func() {
		b.stalled.Store(true)
		b.cancel()
	})
	n, err := b.ReadCloser.Read(p)
	alarm.Stop()
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

// stallError is what a body that stalls fails with: it may pass, as a time-out.
type stallError struct{ error }

// Error implements error.
func (e stallError) Error() string { return "S3 stalled in an answer: " + e.error.Error() }

// Unwrap says what it means, and not that this process has ended the request: no caller did.
func (e stallError) Unwrap() error { return storage.ErrUnavailable }

// Timeout and Temporary make the SDK try the request again, if it was still at it.
func (e stallError) Timeout() bool   { return true }
func (e stallError) Temporary() bool { return true }

func isStalled(err error) bool {
	var stalled stallError
	return errors.As(err, &stalled)
}
