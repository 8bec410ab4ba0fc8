package hooks

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

// testDoor claims every request and does with it what the test wants.
type testDoor func(w http.ResponseWriter, r *http.Request)

func (testDoor) Name() string                                       { return "test" }
func (testDoor) Matches(*http.Request) bool                         { return true }
func (testDoor) AddOptionsHeaders(http.Header)                      {}
func (d testDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) { d(w, r) }

// testMeter is told of one request.
type testMeter struct {
	received, served, ends, status int
	method                         string
}

func (m *testMeter) BytesIn(n int)  { m.received += n }
func (m *testMeter) BytesOut(n int) { m.served += n }
func (m *testMeter) End(method string, status int, _ time.Duration) {
	m.ends++
	m.method, m.status = method, status
}

// ask makes a request of a router with one door, and returns its line of the log and
// what was measured.
func ask(t *testing.T, r *http.Request, door testDoor) (line map[string]any, m *testMeter) {
	t.Helper()
	var log bytes.Buffer
	m = &testMeter{}
	router := Router(CORS{}, Options{
		URLs: URLs{BasePath: "/files/"}, Log: slog.New(slog.NewJSONHandler(&log, nil)),
		Metrics: func(string) RequestMetrics { return m },
	}, door)
	func() {
		defer func() { _ = recover() }() // the door may panic
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
			t.Errorf("more than one line for a request:\n%s", log.String())
		}
		line = entry
	}
	if m.ends != 1 {
		t.Errorf("the end of a request was measured %d times", m.ends)
	}
	return line, m
}

// brokenBody yields some bytes and then an error.
type brokenBody struct{ io.Reader }

func newBrokenBody() io.Reader {
	return brokenBody{io.MultiReader(strings.NewReader("12345"), errReader{})}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestLineOfARequestSaysHowItEnded(t *testing.T) {
	read := func(w http.ResponseWriter, r *http.Request, status int) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
	}
	explain := func(w http.ResponseWriter, r *http.Request, err error) {
		read(w, r, FromError(r, slog.New(slog.DiscardHandler), err).Status)
	}
	event := func(typ storage.EventType, fresh bool) storage.Event {
		return storage.Event{Type: typ, Local: fresh, Upload: storage.Upload{Record: storage.Record{ID: "chosen"}}}
	}
	for _, c := range []struct {
		name, outcome, why, id string
		status                 int
		body                   io.Reader
		door                   testDoor
	}{
		{"says nothing", "answered", "", "it", 200, nil, func(http.ResponseWriter, *http.Request) {}},
		{"stores", "stored", "", "it", 202, strings.NewReader("12345"), func(w http.ResponseWriter, r *http.Request) { read(w, r, 202) }},
		{"creates and stores", "stored", "", "chosen", 202, strings.NewReader("12345"), func(w http.ResponseWriter, r *http.Request) {
			RequestLogFrom(r.Context()).Event(event(storage.Created, true))
			read(w, r, 202)
		}},
		{"creates", "created", "", "chosen", 201, nil, func(w http.ResponseWriter, r *http.Request) {
			RequestLogFrom(r.Context()).Event(event(storage.Created, true))
			w.WriteHeader(201)
		}},
		{"finishes", "finished", "", "chosen", 201, strings.NewReader("12345"), func(w http.ResponseWriter, r *http.Request) {
			RequestLogFrom(r.Context()).Event(event(storage.Created, true))
			RequestLogFrom(r.Context()).Event(event(storage.Finished, true))
			read(w, r, 201)
		}},
		{"tells again of a finish", "stored", "", "it", 201, strings.NewReader("12345"), func(w http.ResponseWriter, r *http.Request) {
			RequestLogFrom(r.Context()).Event(event(storage.Finished, false))
			read(w, r, 201)
		}},
		{"refuses", "refused", "tooLarge", "it", 413, strings.NewReader("12345"), func(w http.ResponseWriter, r *http.Request) { explain(w, r, storage.ErrTooLarge) }},
		{"refuses one that breaks off", "refused", "tooLarge", "it", 413, newBrokenBody(), func(w http.ResponseWriter, r *http.Request) { explain(w, r, storage.ErrTooLarge) }},
		{"is locked", "locked", "locked", "it", 423, nil, func(w http.ResponseWriter, r *http.Request) { explain(w, r, storage.ErrLocked) }},
		{"breaks off", "aborted", "bodyBrokeOff", "it", 503, newBrokenBody(), func(w http.ResponseWriter, r *http.Request) { explain(w, r, storage.ErrBodyAborted) }},
		{"breaks off, answered by tusd", "aborted", "", "it", 400, newBrokenBody(), func(w http.ResponseWriter, r *http.Request) { read(w, r, 400) }},
		{"fails", "failed", "internalError", "it", 500, strings.NewReader("12345"), func(w http.ResponseWriter, r *http.Request) { explain(w, r, errors.New("what?")) }},
		{"panics", "failed", "", "it", 0, nil, func(http.ResponseWriter, *http.Request) { panic("out of luck") }},
		{"hints first", "answered", "", "it", 204, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(204)
		}},
	} {
		line, m := ask(t, httptest.NewRequest("PUT", "/files/it?ticket=secret", c.body), c.door)
		why, _ := line["error_code"].(string)
		if line["outcome"] != c.outcome || why != c.why || line["id"] != c.id || line["status"] != float64(c.status) {
			t.Errorf("%s: the line is %v", c.name, line)
		}
		want := 0
		if c.body != nil {
			want = 5
		}
		if m.received != want || line["bytes_in"] != float64(want) || m.status != c.status || m.method != "PUT" {
			t.Errorf("%s: measured %+v; the line is %v", c.name, m, line)
		}
	}
}

func TestLineOfARequestHasWhatWasSeen(t *testing.T) {
	r := httptest.NewRequest("GET", "/files/it", nil)
	r.Header.Set("Content-Range", strings.Repeat("x", 1000))
	line, m := ask(t, r, func(w http.ResponseWriter, r *http.Request) {
		s := RequestLogFrom(r.Context())
		s.Subject("user-7")
		s.AddLockWait(time.Second)
		s.AddLockWait(time.Second)
		if s.Protocol() != "test" {
			t.Errorf("the door is called %q", s.Protocol())
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("flush: %v", err)
		}
		_, _ = io.WriteString(w, "hello")
	})
	if line["subject"] != "user-7" || line["lock_wait"] != float64(2*time.Second) || line["bytes_out"] != float64(5) || m.served != 5 {
		t.Errorf("the line is %v, measured %+v", line, m)
	}
	if got := line["range"].(string); len(got) != 64 {
		t.Errorf("a range of %d bytes is logged", len(got))
	}
}

// What works for no request may say what it has seen; nobody hears.
func TestSeenOutsideARequestIsLost(t *testing.T) {
	s := RequestLogFrom(t.Context())
	s.Subject("nobody")
	s.AddLockWait(time.Second)
	if s.Protocol() != "" || s == RequestLogFrom(t.Context()) {
		t.Error("what was seen outside a request is kept")
	}
}
