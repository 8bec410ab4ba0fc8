package limits

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
)

// door does with a request what a test wants.
type door struct {
	hooks.Protocol
	serve func(r *http.Request)
}

func (d door) ServeHTTP(_ http.ResponseWriter, r *http.Request) { d.serve(r) }

// send sends a body of n bytes through the limiter to a door, from one address.
func send(l *Limiter, n int, serve func(r *http.Request)) {
	r := httptest.NewRequest(http.MethodPut, "/files/it", bytes.NewReader(make([]byte, n)))
	l.Door(door{serve: serve}).ServeHTTP(httptest.NewRecorder(), r)
}

func limiter(bytesPerDay int64) *Limiter {
	return New(Options{BytesPerDay: bytesPerDay, Log: slog.New(slog.DiscardHandler)})
}

// A body that is refused is read to be dropped, so that its client hears the answer.
// That costs him nothing.
func TestRefusedBodyIsReadForNothing(t *testing.T) {
	l := limiter(1000)
	take := func(r *http.Request) {
		if err := l.Authorize(r.Context(), storage.Upload{}); err != nil {
			t.Errorf("refused: %v", err)
		}
		if n, err := io.Copy(io.Discard, r.Body); err != nil || n != r.ContentLength {
			t.Errorf("read %d of %d: %v", n, r.ContentLength, err)
		}
	}
	send(l, 600, take)
	for range 3 {
		send(l, 500, func(r *http.Request) {
			var later *hooks.RetryAfterError
			if err := l.Authorize(r.Context(), storage.Upload{}); !errors.As(err, &later) || !errors.Is(err, hooks.ErrRateLimited) || later.After <= 0 {
				t.Errorf("permitted: %v", err)
			}
			if n, err := io.Copy(io.Discard, r.Body); err != nil || n != 500 {
				t.Errorf("dropped %d bytes: %v", n, err)
			}
		})
	}
	send(l, 400, take)
}

func TestWhatDoesNotComeDoesNotCount(t *testing.T) {
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
			t.Errorf("500 of 1000 are left, and refused: %v", err)
		}
	})
	send(l, 600, func(r *http.Request) {
		if err := l.Authorize(r.Context(), storage.Upload{}); err == nil {
			t.Error("600 are permitted, while 500 are left")
		}
	})
	send(l, 1001, func(r *http.Request) {
		if err := l.Authorize(r.Context(), storage.Upload{}); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("more than a day's: %v", err)
		}
	})
}

func TestJoinThatCameToNothingDoesNotCount(t *testing.T) {
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

// Who asks for nothing sends no bytes, and is never refused for that.
func TestRequestsWithoutABodyAreFree(t *testing.T) {
	l := limiter(1)
	for range 10 {
		send(l, 0, func(r *http.Request) {
			if err := l.Authorize(r.Context(), storage.Upload{}); err != nil {
				t.Error(err)
			}
		})
	}
}
