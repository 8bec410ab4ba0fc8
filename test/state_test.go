package test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// onEachStore runs a test against a server over each kind of store.
func onEachStore(t *testing.T, test func(t *testing.T, s *Server), args ...string) {
	t.Helper()
	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		test(t, start(t, args...))
	})
	t.Run("S3", func(t *testing.T) {
		t.Parallel()
		s, _, _ := startOnS3(t, args...)
		test(t, s)
	})
}

// wantState demands the JSON state of a finished upload of the given size.
func wantState(t *testing.T, a Answer, size int64) {
	t.Helper()
	s := a.State
	if s.Size == nil || *s.Size != size || s.Offset != size || !s.Complete || s.Missing == nil || len(s.Missing) > 0 || s.NextExpectedRanges == nil || len(s.NextExpectedRanges) > 0 {
		t.Errorf("not the state of a finished upload of %d bytes: %s", size, a.Body)
	}
	want := []string{fmt.Sprintf("0-%d", size-1)}
	if !slices.Equal(s.Received, want) {
		t.Errorf("received %v, want %v", s.Received, want)
	}
	if got := a.Header.Get("Upload-Offset"); got != fmt.Sprint(size) {
		t.Errorf("Upload-Offset is %q", got)
	}
	if !slices.Contains(a.Header.Values("Vary"), "Accept") {
		t.Errorf("Vary is %v", a.Header.Values("Vary"))
	}
}

// An app that is relaunched asks for the state, whether or not the upload has finished
// meanwhile.
func TestF22TheStateOfAFinishedUploadIsThereForWhoAsksForIt(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		c := newClient(s, "finished", small)
		const accept = "Accept: application/json"
		put(t, c, smallChunk[0], http.StatusAccepted)
		for _, fields := range [][]string{nil, {accept}} {
			if state := ask(t, http.MethodGet, c.URL, nil, fields, 200).State; state.Complete || state.Offset != 100 {
				t.Errorf("before the end: %+v", state)
			}
		}
		put(t, c, ranges.Of(100, 900), http.StatusCreated)
		wantState(t, ask(t, http.MethodGet, c.URL, nil, []string{accept}, 200), small.Size)
		wantState(t, ask(t, http.MethodGet, c.URL+"?state", nil, nil, 200), small.Size)
		wantState(t, ask(t, http.MethodGet, c.URL+"?state=1", nil, []string{"Range: bytes=0-1", "If-Match: x"}, 200), small.Size)
		for _, fields := range [][]string{nil, {accept + ", text/plain, */*"}, {"Accept: video/mp4"}} {
			a := ask(t, http.MethodGet, c.URL, nil, fields, 200)
			if string(a.Body) != string(small.Bytes(small.All())) || !slices.Contains(a.Header.Values("Vary"), "Accept") {
				t.Errorf("with %v: %d bytes that are not the file, %v", fields, len(a.Body), a.Header)
			}
		}
		wantFile(t, c.URL, small)
	})
}

func TestF22HeadHasTheHeadersOfGet(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newClient(s, "head", small)
	for _, r := range []ranges.Range{smallChunk[0], ranges.Of(100, 900)} {
		put(t, c, r, 202, 201)
		for _, query := range []string{"", "?state"} {
			got := ask(t, http.MethodGet, c.URL+query, nil, nil, 200).Header
			head := ask(t, http.MethodHead, c.URL+query, nil, nil, 200).Header
			got.Del("Date")
			head.Del("Date")
			if fmt.Sprint(got) != fmt.Sprint(head) {
				t.Errorf("%s after %v: GET has %v, HEAD %v", query, r, got, head)
			}
			if got.Get("Upload-Offset") != fmt.Sprint(r.End) || got.Get("Upload-Length") != "1000" {
				t.Errorf("%s after %v: GET has %v", query, r, got)
			}
		}
	}
}

// A file that is JSON itself is one that some ask for in JSON.
func TestF22TheStateOfAFileThatIsJSONIsThereToo(t *testing.T) {
	t.Parallel()
	s := start(t)
	const text = `{"id": "not this"}`
	ask(t, http.MethodPut, s.URL("data"), strings.NewReader(text), []string{"Content-Type: application/json"}, 201)
	if a := ask(t, http.MethodGet, s.URL("data"), nil, nil, 200); string(a.Body) != text {
		t.Errorf("the file is %s", a.Body)
	}
	wantState(t, ask(t, http.MethodGet, s.URL("data"), nil, []string{"Accept: application/json"}, 200), int64(len(text)))
}

func TestF22ATicketThatMayNotDownloadGetsTheState(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	anna := Bearer(Token("anna"))
	ask(t, "PUT", s.URL("it"), strings.NewReader("0123456789"), []string{anna}, 201)
	url := auth.TicketURL(s.URL("it"), TicketFor(auth.Ticket{Upload: "it", Subject: "anna"}))
	download := auth.TicketURL(s.URL("it"), TicketFor(auth.Ticket{Upload: "it", Subject: "anna", Download: true}))
	for _, fields := range [][]string{nil, {"Accept: application/json"}, {"Accept: */*"}, {"Range: bytes=2-3"}, {tusVersion}, {Bearer("expired")}} {
		wantState(t, ask(t, "GET", url, nil, fields, 200), 10)
	}
	wantState(t, ask(t, "GET", download+"&state", nil, nil, 200), 10)
	if a := ask(t, "GET", download, nil, nil, 200); string(a.Body) != "0123456789" {
		t.Errorf("the file is %s", a.Body)
	}
}

// Every answer to a chunk names what is there and what is missing; without a size, there
// is more after the last byte.
func TestF22AnswersToChunksNameWhatIsReceivedAndMissing(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		url := s.URL("named")
		body := func(n int) *strings.Reader { return strings.NewReader(strings.Repeat("x", n)) }
		for i, step := range []struct {
			contentRange      string
			length            int
			received, missing []string
			next              []string
		}{
			{"bytes 20-29/*", 10, []string{"20-29"}, []string{"0-19", "30-"}, []string{"0-"}},
			{"bytes 0-9/*", 10, []string{"0-9", "20-29"}, []string{"10-19", "30-"}, []string{"10-"}},
			{"bytes */*", 0, []string{"0-9", "20-29"}, []string{"10-19", "30-"}, []string{"10-"}},
			{"bytes 10-19/*", 10, []string{"0-29"}, []string{"30-"}, []string{"30-"}},
			{"bytes 40-49/60", 10, []string{"0-29", "40-49"}, []string{"30-39", "50-59"}, []string{"30-59"}},
			{"bytes 30-59/60", 30, []string{"0-59"}, []string{}, nil},
			{"bytes 0-9/60", 10, []string{"0-59"}, []string{}, nil},
		} {
			want := http.StatusAccepted
			if i > 4 {
				want = http.StatusCreated
			}
			a := ask(t, http.MethodPut, url, body(step.length), []string{"Content-Range: " + step.contentRange}, want)
			for name, got := range map[string][2][]string{
				"received": {a.State.Received, step.received}, "missing": {a.State.Missing, step.missing}, "next": {a.State.NextExpectedRanges, step.next},
			} {
				if got[0] == nil && got[1] != nil || !slices.Equal(got[0], got[1]) {
					t.Errorf("%s: %s %v, want %v; %s", step.contentRange, name, got[0], got[1], a.Body)
				}
			}
			if want == http.StatusCreated {
				continue
			}
			state := ask(t, http.MethodGet, url, nil, nil, 200).State
			if !slices.Equal(state.Received, step.received) || !slices.Equal(state.Missing, step.missing) || !slices.Equal(state.NextExpectedRanges, step.next) {
				t.Errorf("GET after %s: %+v", step.contentRange, state)
			}
		}
	})
}

// tus clients may leave the length open as well.
func TestF22WhatIsMissingOfAnEmptyUploadWithoutASizeIsAll(t *testing.T) {
	t.Parallel()
	s := start(t)
	url := ask(t, http.MethodPost, s.URL(""), nil, []string{tusVersion, "Upload-Defer-Length: 1"}, 201).Header.Get("Location")
	if state := status(t, url); !slices.Equal(state.Missing, []string{"0-"}) || state.Size != nil || len(state.Received) > 0 {
		t.Errorf("the state is %+v", state)
	}
}
