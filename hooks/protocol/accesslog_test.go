package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// testProtocol matches every request and calls itself.
type testProtocol func(w http.ResponseWriter, r *http.Request)

func (testProtocol) Name() string                                       { return "test" }
func (testProtocol) Matches(*http.Request) bool                         { return true }
func (testProtocol) AddOptionsHeaders(http.Header)                      {}
func (d testProtocol) ServeHTTP(w http.ResponseWriter, r *http.Request) { d(w, r) }

// testMetrics measures one request.
type testMetrics struct {
	bytesIn, bytesOut, ends, status int
	method, code                    string
}

func (m *testMetrics) BytesIn(n int)  { m.bytesIn += n }
func (m *testMetrics) BytesOut(n int) { m.bytesOut += n }
func (m *testMetrics) End(method string, status int, code string, _ time.Duration) {
	m.ends++
	m.method, m.status, m.code = method, status, code
}

// serve serves a request with a router with one protocol, and returns the line of the
// access log and the measurements.
func serve(t *testing.T, r *http.Request, protocol testProtocol) (line map[string]any, m *testMetrics) {
	t.Helper()
	var log bytes.Buffer
	m = &testMetrics{}
	router := Router(CORS{}, Options{
		URLs: URLs{BasePath: "/files/"}, Log: slog.New(slog.NewJSONHandler(&log, nil)),
		Metrics: func(string) RequestMetrics { return m },
	}, protocol)
	func() {
		defer func() { _ = recover() }() // the protocol may panic
		router.ServeHTTP(httptest.NewRecorder(), r)
	}()
	for text := range strings.Lines(log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(text), &entry); err != nil {
			t.Fatal(err)
		}
		if entry["msg"] != "request" {
			continue
		}
		if line != nil {
			t.Errorf("more than one log line for a request:\n%s", log.String())
		}
		line = entry
	}
	if m.ends != 1 {
		t.Errorf("End was called %d times, want once", m.ends)
	}
	return line, m
}

// brokenBody returns some bytes and then an error.
type brokenBody struct{ io.Reader }

func newBrokenBody() io.Reader {
	return brokenBody{io.MultiReader(strings.NewReader("12345"), errReader{})}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestAccessLogHasTheOutcome(t *testing.T) {
	read := func(w http.ResponseWriter, r *http.Request, status int) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
	}
	fail := func(w http.ResponseWriter, r *http.Request, err error) {
		read(w, r, FromError(r, slog.New(slog.DiscardHandler), err).Status)
	}
	event := func(typ storage.EventType, local bool) storage.Event {
		return storage.Event{Type: typ, Local: local, Upload: storage.Upload{Record: storage.Record{ID: "chosen"}}}
	}
	for _, c := range []struct {
		name, outcome, errorCode, id string
		status                       int
		body                         io.Reader
		protocol                     testProtocol
	}{
		{"no response written", "answered", "", "it", 200, nil, func(http.ResponseWriter, *http.Request) {}},
		{"stores", "stored", "", "it", 202, strings.NewReader("12345"), func(w http.ResponseWriter, r *http.Request) { read(w, r, 202) }},
		{"creates and stores", "stored", "", "chosen", 202, strings.NewReader("12345"), func(w http.ResponseWriter, r *http.Request) {
			ExchangeOf(r.Context()).Event(event(storage.Created, true))
			read(w, r, 202)
		}},
		{"creates", "created", "", "chosen", 201, nil, func(w http.ResponseWriter, r *http.Request) {
			ExchangeOf(r.Context()).Event(event(storage.Created, true))
			w.WriteHeader(201)
		}},
		{"finishes", "finished", "", "chosen", 201, strings.NewReader("12345"), func(w http.ResponseWriter, r *http.Request) {
			ExchangeOf(r.Context()).Event(event(storage.Created, true))
			ExchangeOf(r.Context()).Event(event(storage.Finished, true))
			read(w, r, 201)
		}},
		{"replays a finish", "stored", "", "it", 201, strings.NewReader("12345"), func(w http.ResponseWriter, r *http.Request) {
			ExchangeOf(r.Context()).Event(event(storage.Finished, false))
			read(w, r, 201)
		}},
		{"rejects", "refused", "tooLarge", "it", 413, strings.NewReader("12345"), func(w http.ResponseWriter, r *http.Request) { fail(w, r, storage.ErrTooLarge) }},
		{"rejects an aborted body", "refused", "tooLarge", "it", 413, newBrokenBody(), func(w http.ResponseWriter, r *http.Request) { fail(w, r, storage.ErrTooLarge) }},
		{"is locked", "locked", "locked", "it", 423, nil, func(w http.ResponseWriter, r *http.Request) { fail(w, r, storage.ErrLocked) }},
		{"body aborted", "aborted", "bodyBrokeOff", "it", 503, newBrokenBody(), func(w http.ResponseWriter, r *http.Request) { fail(w, r, storage.ErrBodyAborted) }},
		{"body aborted, tusd responds", "aborted", "bodyBrokeOff", "it", 400, newBrokenBody(), func(w http.ResponseWriter, r *http.Request) { read(w, r, 400) }},
		{"fails", "failed", "internalError", "it", 500, strings.NewReader("12345"), func(w http.ResponseWriter, r *http.Request) { fail(w, r, errors.New("unexpected")) }},
		{"panics", "failed", "internalError", "it", 500, nil, func(http.ResponseWriter, *http.Request) { panic("test") }},
		{"sends early hints", "answered", "", "it", 204, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(204)
		}},
	} {
		line, m := serve(t, httptest.NewRequest("PUT", "/files/it?ticket=secret", c.body), c.protocol)
		errorCode, _ := line["error_code"].(string)
		if line["outcome"] != c.outcome || errorCode != c.errorCode || line["id"] != c.id || line["status"] != float64(c.status) {
			t.Errorf("%s: log line %v", c.name, line)
		}
		want := 0
		if c.body != nil {
			want = 5
		}
		if m.bytesIn != want || line["bytes_in"] != float64(want) || m.status != c.status || m.method != "PUT" || m.code != c.errorCode {
			t.Errorf("%s: measured %+v; log line %v", c.name, m, line)
		}
	}
}

func TestAccessLogHasTheFieldsOfTheExchange(t *testing.T) {
	r := httptest.NewRequest("GET", "/files/it", nil)
	r.Header.Set("Content-Range", strings.Repeat("x", 1000))
	line, m := serve(t, r, func(w http.ResponseWriter, r *http.Request) {
		s := ExchangeOf(r.Context())
		s.SetPrincipal(Principal{Subject: "user-7"})
		s.AddLockWait(time.Second)
		s.AddLockWait(time.Second)
		if s.Protocol() != "test" {
			t.Errorf("protocol %q, want test", s.Protocol())
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("flush: %v", err)
		}
		_, _ = io.WriteString(w, "hello")
	})
	if line["subject"] != "user-7" || line["lock_wait"] != float64(2*time.Second) || line["bytes_out"] != float64(5) || m.bytesOut != 5 {
		t.Errorf("log line %v, measured %+v", line, m)
	}
	if got := line["range"].(string); len(got) != 64 {
		t.Errorf("logged a range of %d bytes, want 64", len(got))
	}
}

// Code that runs outside of a request may use ExchangeOf too.
func TestAnExchangeOutsideARequestIsDiscarded(t *testing.T) {
	s := ExchangeOf(t.Context())
	s.SetPrincipal(Principal{Subject: "anna"})
	s.AddLockWait(time.Second)
	if s.Protocol() != "" || s == ExchangeOf(t.Context()) {
		t.Error("an Exchange outside of a request is kept")
	}
}
