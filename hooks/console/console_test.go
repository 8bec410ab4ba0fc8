package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// newServer returns a console over a core in memory, and its server.
func newServer(t *testing.T, opts Options) (*Console, *storage.Uploads, *httptest.Server) {
	t.Helper()
	var core *storage.Uploads
	opts.Uploads = func() *storage.Uploads { return core }
	opts.Memory = func() (int64, int64) { return 1, 2 }
	opts.ShuttingDown = func() bool { return false }
	if opts.CheckStore == nil {
		opts.CheckStore = func(context.Context) error { return nil }
	}
	c := New(opts)
	core = storage.New(storagetest.NewMemory(1<<20), &storage.MemoryLocker{}, &storage.MemoryCache{}, storage.Options{Observer: c.Observer()})
	mux := http.NewServeMux()
	c.Register(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return c, core, server
}

// states are those that a page gets.
type states struct {
	t     *testing.T
	lines *bufio.Scanner
}

func watchStates(t *testing.T, url string) states {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/console/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("%d, %s", resp.StatusCode, got)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return states{t, lines}
}

// await returns the first state for which holds is true.
func (s states) await(what string, holds func(State) bool) State {
	s.t.Helper()
	end := time.Now().Add(30 * time.Second)
	for s.lines.Scan() {
		text, isData := strings.CutPrefix(s.lines.Text(), "data: ")
		if !isData {
			if line := s.lines.Text(); line != "" && line != "retry: 2000" {
				s.t.Fatalf("a line that no message has: %q", line)
			}
			continue
		}
		var state State
		if err := json.Unmarshal([]byte(text), &state); err != nil {
			s.t.Fatal(err)
		}
		if holds(state) {
			return state
		}
		if time.Now().After(end) {
			s.t.Fatalf("not shown: %s: %s", what, text)
		}
	}
	s.t.Fatalf("%s: the messages ended: %v", what, s.lines.Err())
	return State{}
}

func TestPageGetsStatesAsMessages(t *testing.T) {
	_, core, server := newServer(t, Options{Node: "n1", Store: "memory"})
	if _, err := core.Create(t.Context(), storage.Record{ID: "a", Size: 1000, Metadata: storage.Metadata{"filename": "</script>\n\ndata: x"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := core.Write(t.Context(), "a", storage.Chunk{Offset: 100, Body: strings.NewReader(strings.Repeat("x", 100))}); err != nil {
		t.Fatal(err)
	}
	s := watchStates(t, server.URL)
	state := s.await("the upload and the listing", func(s State) bool { return len(s.Receiving) == 1 && s.Listing.At > 0 && s.Nodes[0].Store.Checked > 0 })
	row, node := state.Receiving[0], state.Nodes[0]
	if row.Map != strings.Repeat("0", 10)+strings.Repeat("9", 10)+strings.Repeat("0", 80) || row.Received != 100 || row.Node != "n1" || strings.ContainsAny(row.Name, "\n") {
		t.Errorf("%+v", row)
	}
	if state.Listing.WaitingCount != 1 || state.Listing.Delivers || node.Shared.Used || node.Store.Failing != 0 || node.MemoryLimit != 2 || node.Receiving != nil {
		t.Errorf("%+v", state)
	}
	if _, err := core.Write(t.Context(), "a", storage.Chunk{Body: strings.NewReader(strings.Repeat("x", 1000))}); err != nil {
		t.Fatal(err)
	}
	s.await("the finished upload", func(s State) bool {
		return len(s.Receiving) == 0 && len(s.Finished) == 1 && s.Finished[0].Received == 1000
	})
}

func TestPageSaysWhatFails(t *testing.T) {
	_, _, server := newServer(t, Options{CheckStore: func(context.Context) error { return errors.New("no such bucket") },
		CheckShared: func(context.Context) error { return errors.New("connection refused") }, Board: &board{err: errors.New("Redis is down")}})
	s := watchStates(t, server.URL)
	s.await("the failures", func(s State) bool {
		n := s.Nodes[0]
		return n.Store.Failing > 0 && n.Store.Error == "no such bucket" && n.Shared.Used && n.Shared.Error == "connection refused" && s.Error == "Redis is down"
	})
}

// canceledBoard fails as soon as its caller goes on without it.
type canceledBoard struct{ *board }

func (b canceledBoard) Read(ctx context.Context) (map[string]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return b.board.Read(ctx)
}

// The work for the pages begins again whenever one is opened: what the board has is kept for
// the next states, and must not be the error of the work that ended.
func TestAPageThatIsOpenedDoesNotInterruptTheReadingOfTheBoard(t *testing.T) {
	c := New(Options{Board: canceledBoard{&board{texts: map[string]string{"mute": ""}}}})
	ended, end := context.WithCancel(t.Context())
	end()
	if _, missing, err := c.readBoard(ended); missing != 1 || err != nil {
		t.Errorf("%d processes show nothing, %v; want 1", missing, err)
	}
}

// board is a Board in memory, of one process that may fail.
type board struct {
	mu      sync.Mutex
	texts   map[string]string
	watched bool
	err     error
	posts   int
}

func (b *board) Watched(context.Context) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.watched, b.err
}

func (b *board) Post(_ context.Context, text string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.posts++
	b.texts = map[string]string{"other": text, "mute": "", "broken": "{"}
	return b.err
}

func (b *board) Read(context.Context) (map[string]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watched = true
	return b.texts, b.err
}

func TestPageShowsOtherProcesses(t *testing.T) {
	shared := &board{}
	other, core, _ := newServer(t, Options{Node: "other", Board: shared})
	if _, err := core.Create(t.Context(), storage.Record{ID: "a", Size: 10}); err != nil {
		t.Fatal(err)
	}
	if other.post(t.Context()); shared.posts > 0 {
		t.Error("a process that no page shows posts what it does")
	}
	_, _, server := newServer(t, Options{Node: "own", Board: shared})
	s := watchStates(t, server.URL)
	s.await("its own node alone", func(s State) bool { return len(s.Nodes) == 1 && s.Nodes[0].Name == "own" })
	other.post(t.Context())
	state := s.await("other", func(s State) bool { return len(s.Nodes) == 2 })
	if state.Nodes[1].Name != "other" || state.Missing != 2 || len(state.Receiving) != 1 || state.Receiving[0].Node != "other" {
		t.Errorf("%+v", state)
	}
}

// Pages say that there is more than a process could post of what it receives.
func TestAPostIsBoundedAndSaysSo(t *testing.T) {
	shared := &board{watched: true}
	c, core, _ := newServer(t, Options{Node: "busy", Board: shared})
	for n := range maxPosted + 1 {
		if _, err := core.Create(t.Context(), storage.Record{ID: fmt.Sprint("u", n), Size: 10}); err != nil {
			t.Fatal(err)
		}
		if n < maxPosted-1 {
			continue
		}
		c.post(t.Context())
		var node Node
		if err := json.Unmarshal([]byte(shared.texts["other"]), &node); err != nil {
			t.Fatal(err)
		}
		if more := n == maxPosted; len(node.Receiving) != maxPosted || node.Full != more {
			t.Errorf("of %d uploads %d are posted, full: %t", n+1, len(node.Receiving), node.Full)
		}
	}
}

func TestPagesThatWatchAreBounded(t *testing.T) {
	c, _, server := newServer(t, Options{})
	var leave []func()
	for range maxWatchers {
		_, stop := c.watch()
		leave = append(leave, stop)
	}
	resp, err := http.Get(server.URL + "/console/events")
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
	for _, stop := range leave {
		stop()
	}
	if len(c.hub.watchers) > 0 {
		t.Error("watchers are left")
	}
}

func TestCurvesMeasureRequests(t *testing.T) {
	c, _, _ := newServer(t, Options{})
	at := time.Unix(1000, 0)
	c.history.measure(&c.counters, 0, at)
	metrics := c.Measure(nil)
	for _, r := range []struct {
		status int
		code   string
	}{{200, ""}, {404, "itemNotFound"}, {500, "internalError"}, {503, "bodyBrokeOff"}, {0, problem.CodeSuperseded}, {200, "originNotAllowed"}} {
		m := metrics("tus")
		m.BytesIn(100)
		m.BytesOut(1)
		m.End("PATCH", r.status, r.code, time.Second)
	}
	for range 2 * maxPoints {
		at = at.Add(2 * time.Second)
		c.history.measure(&c.counters, 7, at)
		if got := c.history.snapshot(); len(got.Rate) == 1 && (got.Rate[0] != 300 || got.Requests[0] != 3 || got.Failed[0] != .5 || got.Refused[0] != 1 || got.Interrupted[0] != 1 || got.Memory[0] != 7) {
			t.Errorf("%+v", got)
		}
	}
	if got := c.history.snapshot(); len(got.Rate) != maxPoints || got.Rate[0] != 0 || c.counters.inFlight.Load() != 0 {
		t.Errorf("%d points, %d in flight", len(got.Rate), c.counters.inFlight.Load())
	}
}

func TestPageIsOnlyReadAndHasNothingInlineOrFromElsewhere(t *testing.T) {
	_, _, server := newServer(t, Options{})
	for path, want := range map[string]string{"/": "text/html", "/console/page.css": "text/css", "/console/page.js": "text/javascript", "/console/draw.js": "text/javascript"} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %d, %s", path, resp.StatusCode, got)
		}
		policy := resp.Header.Get("Content-Security-Policy")
		if path == "/" && (!strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "default-src 'none'; script-src 'nonce-") || strings.Contains(policy, "unsafe")) {
			t.Errorf("policy: %s", policy)
		}
		if resp, err = http.Post(server.URL+path, "", nil); err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %v, %v", path, resp, err)
		}
	}
	never := regexp.MustCompile(`https?://[^w]|\sstyle=|\son[a-z]+=["']|<script>|<style|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|@import|[: ]url\(`)
	for _, name := range []string{"page.html", "page.css", "page.js", "draw.js"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := never.Find(text); found != nil {
			t.Errorf("%s has %q", name, found)
		}
	}
}
