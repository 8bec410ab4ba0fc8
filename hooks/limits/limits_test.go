package limits

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

// testProtocol handles requests with a function of the test.
type testProtocol func(r *http.Request)

func (testProtocol) Name() string                                       { return "test" }
func (testProtocol) Matches(*http.Request) bool                         { return true }
func (testProtocol) AddOptionsHeaders(http.Header)                      {}
func (d testProtocol) ServeHTTP(_ http.ResponseWriter, r *http.Request) { d(r) }

// send sends a body of n bytes, from one address, through the limiter to serve.
func send(l *Limiter, n int, serve func(r *http.Request)) {
	r := httptest.NewRequest(http.MethodPut, "/files/it", bytes.NewReader(make([]byte, n)))
	opts := protocol.Options{Guards: []protocol.Guard{l.Begin}, Log: slog.New(slog.DiscardHandler)}
	protocol.Router(protocol.CORS{}, opts, testProtocol(serve)).ServeHTTP(httptest.NewRecorder(), r)
}

func limiter(bytesPerDay int64) *Limiter {
	return New(Options{BytesPerDay: bytesPerDay, Log: slog.New(slog.DiscardHandler)})
}

// A rejected body is drained so that the client gets the response. That must not be
// charged.
func TestDrainingARejectedBodyIsNotCharged(t *testing.T) {
	l := limiter(1000)
	accept := func(r *http.Request) {
		if err := l.Authorize(r.Context(), storage.Upload{}); err != nil {
			t.Errorf("rejected: %v", err)
		}
		if n, err := io.Copy(io.Discard, r.Body); err != nil || n != r.ContentLength {
			t.Errorf("read %d of %d: %v", n, r.ContentLength, err)
		}
	}
	send(l, 600, accept)
	for range 3 {
		send(l, 500, func(r *http.Request) {
			var later *problem.RetryAfterError
			if err := l.Authorize(r.Context(), storage.Upload{}); !errors.As(err, &later) || !errors.Is(err, problem.ErrRateLimited) || later.After <= 0 {
				t.Errorf("allowed: %v", err)
			}
			if n, err := io.Copy(io.Discard, r.Body); err != nil || n != 500 {
				t.Errorf("drained %d bytes: %v", n, err)
			}
		})
	}
	send(l, 400, accept)
}

func TestBytesThatNeverArriveAreRefunded(t *testing.T) {
	l := limiter(1000)
	for range 5 {
		send(l, 500, func(r *http.Request) {
			if _, err := io.CopyN(io.Discard, r.Body, 100); err != nil {
				t.Error(err)
			}
		})
	}
	send(l, 500, func(r *http.Request) {
		if err := l.Authorize(r.Context(), storage.Upload{}); err != nil {
			t.Errorf("500 of 1000 bytes are left, but 500 are rejected: %v", err)
		}
	})
	send(l, 600, func(r *http.Request) {
		if err := l.Authorize(r.Context(), storage.Upload{}); err == nil {
			t.Error("600 bytes are allowed, but only 500 are left")
		}
	})
	send(l, 1001, func(r *http.Request) {
		if err := l.Authorize(r.Context(), storage.Upload{}); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("more than BytesPerDay: %v, want ErrTooLarge", err)
		}
	})
}

func TestAFailedConcatenationIsRefunded(t *testing.T) {
	l := limiter(1000)
	for range 3 {
		send(l, 0, func(r *http.Request) {
			rec := storage.Record{ID: "it", Size: 900, Parts: []string{"a", "b"}}
			if err := l.BeforeCreate(r.Context(), &rec); err != nil {
				t.Errorf("900 of 1000: %v", err)
			}
			l.CreateFailed(r.Context(), rec)
		})
	}
}

func TestRequestsWithoutABodyAreNotCharged(t *testing.T) {
	l := limiter(1)
	for range 10 {
		send(l, 0, func(r *http.Request) {
			if err := l.Authorize(r.Context(), storage.Upload{}); err != nil {
				t.Error(err)
			}
		})
	}
}
