package transport

import (
	"bytes"
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

func TestEveryResponseHasSecurityHeaders(t *testing.T) {
	for embeddable, policy := range map[bool]string{false: "same-site", true: "cross-origin"} {
		w := httptest.NewRecorder()
		SetSecurityHeaders(w.Header(), httptest.NewRequest("GET", "/files/it", nil), embeddable)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": NoScripts, "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": policy, "Strict-Transport-Security": "", "Connection": "",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("embeddable %v: %s: %q, want %q", embeddable, name, got, want)
			}
		}
	}
	r := httptest.NewRequest("PUT", "https://up.example/files/it", strings.NewReader("x"))
	r.TransferEncoding = []string{"chunked"}
	w := httptest.NewRecorder()
	SetSecurityHeaders(w.Header(), r, false)
	if h := w.Header(); h.Get("Connection") != "close" || !strings.HasPrefix(h.Get("Strict-Transport-Security"), "max-age=") {
		t.Errorf("a chunked body by HTTPS: %v", h)
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
		LimitUnreadBody(w, r, time.Hour)()
		if got := time.Until(w.last()) > time.Hour/2; got != c.want {
			t.Errorf("%s: deadlines %v, want one: %v", name, w.set, c.want)
		}
	}
}
