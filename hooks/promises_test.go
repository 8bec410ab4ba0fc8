package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// The file has no name, so that it does not outlive the process, however that ends.
func TestTheSpoolFileIsUnlinked(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var s Spool
	defer s.Close()
	if err := s.Fill(bytes.NewReader(make([]byte, 3*spoolMemory))); err != nil {
		t.Fatal(err)
	}
	if s.file == nil {
		t.Fatal("the body is held in memory")
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("files in the directory: %v, %v", names, err)
	}
}

func TestAFailureToSpoolIsTransient(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()+"/missing")
	var s Spool
	defer s.Close()
	if err := s.Fill(bytes.NewReader(make([]byte, 3*spoolMemory))); !storage.Transient(err) {
		t.Errorf("%v, want a transient error", err)
	}
}

// The app gets the request as sent by the client, even if the server changes it later.
func TestRequestOfReturnsTheRequestAsReceived(t *testing.T) {
	r := httptest.NewRequest("PUT", "http://up.example/files/it?a=b", nil)
	r.Header.Set("X-Own", "as sent")
	ctx := WithRequest(context.Background(), r)
	r.Header.Set("X-Own", "changed")
	r.Header.Set("X-Added", "by the server")
	r.Method, r.RequestURI = "POST", "/other"
	got := RequestOf(ctx)
	if got.Method != "PUT" || got.URI != "http://up.example/files/it?a=b" || got.Header.Get("Host") != "up.example" {
		t.Errorf("%+v", got)
	}
	if got.Header.Get("X-Own") != "as sent" || got.Header.Get("X-Added") != "" || r.Header.Get("Host") != "" {
		t.Errorf("recorded %v, the request has %v", got.Header, r.Header)
	}
}

func TestEveryResponseHasSecurityHeaders(t *testing.T) {
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for origins, embedding := range map[string]string{"": "same-site", "*": "cross-origin", "https://app.example": "same-site"} {
		w := httptest.NewRecorder()
		SecurityHeaders(CORS{Origins: []string{origins}}, handler).ServeHTTP(w, httptest.NewRequest("GET", "/files/it", nil))
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": NoScripts, "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": embedding, "Strict-Transport-Security": "", "Connection": "",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("origins %q: %s: %q, want %q", origins, name, got, want)
			}
		}
	}
	r := httptest.NewRequest("PUT", "https://up.example/files/it", strings.NewReader("x"))
	r.TransferEncoding = []string{"chunked"}
	w := httptest.NewRecorder()
	SecurityHeaders(CORS{}, handler).ServeHTTP(w, r)
	if h := w.Header(); h.Get("Connection") != "close" || !strings.HasPrefix(h.Get("Strict-Transport-Security"), "max-age=") {
		t.Errorf("a chunked body by HTTPS: %v", h)
	}
}

// Responses reveal no internals of the server: the cause is in the log only.
func TestAProblemDoesNotRevealItsCause(t *testing.T) {
	const inside = "dial tcp 10.0.0.7:9000: connection refused"
	for err, want := range map[error]int{
		storage.Unavailable("load", "it", errors.New(inside)):        503,
		fmt.Errorf("%w: %s", storage.ErrLocked, inside):              423,
		fmt.Errorf("%w: %s", storage.ErrNoSpace, inside):             507,
		fmt.Errorf("%w: %w", ErrHookUnavailable, errors.New(inside)): 503,
		errors.New(inside): 500,
		fmt.Errorf("%w: %w", storage.ErrBodyAborted, errors.New(inside)):      503,
		fmt.Errorf("%w: %w: %s", storage.ErrGone, ErrIdleTimeout, "a moment"): 410,
	} {
		var log bytes.Buffer
		p := FromError(httptest.NewRequest("PUT", "/files/it", nil), slog.New(slog.NewTextHandler(&log, nil)), err)
		if p.Status != want || strings.Contains(p.Message+p.Code, "10.0.0.7") {
			t.Errorf("%v: %+v, want %d", err, p, want)
		}
		if aborted := errors.Is(err, storage.ErrBodyAborted); strings.Contains(log.String(), "10.0.0.7") != (want >= 500 && !aborted) {
			t.Errorf("%v: the log has %q", err, log.String())
		}
	}
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	for after, want := range map[time.Duration]string{
		0: "1", time.Millisecond: "1", time.Second: "1", 1001 * time.Millisecond: "2", 90 * time.Second: "90",
	} {
		if got := retryAfter(fmt.Errorf("wrapped: %w", &RetryAfterError{Err: ErrRateLimited, After: after})); got != want {
			t.Errorf("after %v: %q, want %q", after, got, want)
		}
	}
	if got := retryAfter(storage.ErrLocked); got != RetryAfter {
		t.Errorf("without a RetryAfterError: %q", got)
	}
}

// Rejecting an unread body closes the connection of HTTP/1, but only the stream of HTTP/2.
func TestARejectedBodyIsNotRead(t *testing.T) {
	for name, c := range map[string]struct {
		major  int
		length int64
		closes bool
	}{
		"HTTP/1": {1, 5, true}, "HTTP/1, chunked": {1, -1, true}, "HTTP/1 without a body": {1, 0, false}, "HTTP/2": {2, 5, false},
	} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("PUT", "/files/it", strings.NewReader("hello"))
		r.ProtoMajor, r.ContentLength = c.major, c.length
		RejectBody(w, r)
		past := !w.last().IsZero() && w.last().Before(time.Now())
		if closes := w.Header().Get("Connection") == "close"; closes != c.closes || past != c.closes {
			t.Errorf("%s: the connection is closed: %v, the deadline has passed: %v; want %v", name, closes, past, c.closes)
		}
	}
}

// net/http reads some of an unread body, and would wait for it without end.
func TestAnUnreadBodyHasAReadDeadline(t *testing.T) {
	for name, c := range map[string]struct {
		major  int
		length int64
		want   bool
	}{
		"HTTP/1": {1, 5, true}, "HTTP/1, chunked": {1, -1, true}, "HTTP/1 without a body": {1, 0, false}, "HTTP/2": {2, 5, false},
	} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("PUT", "/files/it", strings.NewReader("hello"))
		r.ProtoMajor, r.ContentLength = c.major, c.length
		LimitUnreadBody(time.Hour, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if got := time.Until(w.last()) > time.Hour/2; got != c.want {
			t.Errorf("%s: deadlines %v, want one: %v", name, w.set, c.want)
		}
	}
}
