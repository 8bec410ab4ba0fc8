package holdfast_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast"
	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// requestForms are requests of each protocol for the upload "it".
var requestForms = []struct {
	protocol, method string
	header           map[string]string
}{
	{"content-range", "PUT", map[string]string{"Content-Range": "bytes 0-4/10"}},
	{"content-range", "GET", nil},
	{"content-range", "DELETE", nil},
	{"tus", "HEAD", map[string]string{"Tus-Resumable": "1.0.0"}},
	{"tus", "PATCH", map[string]string{"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}},
	{"tus", "DELETE", map[string]string{"Tus-Resumable": "1.0.0"}},
	{"ietf", "PATCH", map[string]string{"Upload-Draft-Interop-Version": "8", "Upload-Complete": "?0", "Upload-Offset": "0", "Content-Type": "application/partial-upload"}},
	{"ietf", "HEAD", map[string]string{"Upload-Draft-Interop-Version": "8"}},
}

// refusal is what a client gets, and what is recorded of it.
type refusal struct {
	holdfast.Options
	err error // what happens to each request

	log            bytes.Buffer
	protocol, code string // as counted
}

func (f *refusal) BytesIn(int)                                       {}
func (f *refusal) BytesOut(int)                                      {}
func (f *refusal) End(_ string, _ int, code string, _ time.Duration) { f.code = code }

func newRefusal(t *testing.T) (*refusal, http.Handler) {
	f := &refusal{}
	store := storagetest.NewMemory(1 << 20)
	node := storage.New(store, new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{Log: slog.New(slog.DiscardHandler)})
	if _, err := node.Create(t.Context(), storage.Record{ID: "it", Size: 10}); err != nil {
		t.Fatal(err)
	}
	server, err := holdfast.New(holdfast.Options{
		Store:  store,
		Policy: storage.Policy{Authorize: func(context.Context, storage.Upload) error { return f.err }},
		Log:    slog.New(slog.NewJSONHandler(&f.log, nil)),
		Metrics: func(protocol string) protocol.RequestMetrics {
			f.protocol = protocol
			return f
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, server
}

// line returns the access log's line of the last request, and empties the log.
func (f *refusal) line(t *testing.T) (line struct {
	Level, Msg string
	Code       string `json:"error_code"`
}) {
	for text := range strings.Lines(f.log.String()) {
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
	}
	f.log.Reset()
	if line.Msg != "request" {
		t.Errorf("the last line of the log is %+v", line)
	}
	return line
}

// Each error has the response of its protocol's column, and is logged and counted by its code.
func TestEachErrorIsAnsweredLoggedAndCountedByTheTable(t *testing.T) {
	f, server := newRefusal(t)
	for _, cause := range append(problem.Errors(), errors.New("unexpected")) {
		f.err = fmt.Errorf("wrapped: %w", cause)
		for _, form := range requestForms {
			name := fmt.Sprintf("%s %s: %v", form.protocol, form.method, cause)
			want := problem.From(form.protocol, form.method, f.err)
			r := httptest.NewRequest(form.method, "/files/it", nil)
			if form.method != "GET" && form.method != "HEAD" && form.method != "DELETE" {
				r = httptest.NewRequest(form.method, "/files/it", strings.NewReader("hello"))
			}
			for name, value := range form.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			if aborted := serveAborted(server, w, r); aborted {
				if form.protocol != "ietf" || !want.Retry() {
					t.Errorf("%s: the connection breaks", name)
				}
			} else if w.Code != want.Status && (cause != storage.ErrGone || w.Code != http.StatusNotFound) {
				t.Errorf("%s: %d, want %d", name, w.Code, want.Status)
			} else if got := w.Header().Get("Retry-After") != ""; got != want.Retry() {
				t.Errorf("%s: Retry-After %v, want %v", name, got, want.Retry())
			}
			line := f.line(t)
			if cause == storage.ErrGone && line.Code == "itemNotFound" {
				line.Code, f.code = want.Code, want.Code // some versions of the draft know only 404
			}
			if line.Code != want.Code || line.Level != want.Level.String() {
				t.Errorf("%s: logged %+v, want %s at %s", name, line, want.Code, want.Level)
			}
			if f.code != want.Code || f.protocol != form.protocol {
				t.Errorf("%s: counted as %q of %q, want %q", name, f.code, f.protocol, want.Code)
			}
		}
	}
}

// serveAborted reports whether the handler breaks the connection.
func serveAborted(h http.Handler, w http.ResponseWriter, r *http.Request) (aborted bool) {
	defer func() { aborted = recover() != nil }()
	h.ServeHTTP(w, r)
	return false
}

// What is refused before a protocol is found is logged and counted too.
func TestRefusalsWithoutAProtocolAreLoggedAndCounted(t *testing.T) {
	f, server := newRefusal(t)
	for _, c := range []struct {
		method, path, code string
		status             int
	}{
		{"BREW", "/files/it", "methodNotAllowed", 405},
		{"POST", "/healthz", "methodNotAllowed", 405},
		{"GET", "/elsewhere", "itemNotFound", 404},
		{"OPTIONS", "/files/", problem.CodeOrigin, 200},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Header.Set("Origin", "https://app.example")
		r.Header.Set("Access-Control-Request-Method", "PUT")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if line := f.line(t); w.Code != c.status || line.Code != c.code || line.Level != "INFO" || f.code != c.code || f.protocol != "" {
			t.Errorf("%s %s: %d, logged %+v, counted as %q of %q", c.method, c.path, w.Code, line, f.code, f.protocol)
		}
	}
	server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/healthz", nil))
	if f.log.Len() > 0 {
		t.Errorf("a probe is logged: %s", f.log.String())
	}
}
