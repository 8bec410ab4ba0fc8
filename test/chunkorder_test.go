package test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// small is a file of ten chunks.
var (
	small      = NewContent(3, 1000)
	smallChunk = small.Chunks(100)
)

// wantRange demands what a 202 has to say: the unbroken range from byte 0 on, in
// both of its forms.
func wantRange(t *testing.T, a Answer, prefix, total int64) {
	t.Helper()
	want := ""
	if prefix > 0 {
		want = fmt.Sprintf("bytes=0-%d", prefix-1)
	}
	if got := a.Header.Get("Range"); got != want {
		t.Errorf("Range is %q, want %q", got, want)
	}
	next := []string{fmt.Sprintf("%d-%d", prefix, total-1)}
	if got := a.State.NextExpectedRanges; !slices.Equal(got, next) {
		t.Errorf("nextExpectedRanges is %v, want %v", got, next)
	}
	if a.Header.Get("Location") != "" {
		t.Error("an answer that is not final has a Location")
	}
}

// wantDone demands what a 201 has to say.
func wantDone(t *testing.T, a Answer, c *Client) {
	t.Helper()
	demand(t, a, http.StatusCreated)
	id := idOf(c.URL)
	if got := a.Header.Get("Location"); got != c.URL {
		t.Errorf("Location is %q, want %q", got, c.URL)
	}
	if a.State.ID != id || a.State.Name == "" || a.State.Size == nil || *a.State.Size != c.Content.Size {
		t.Errorf("the final JSON is %s", a.Body)
	}
	if a.State.NextExpectedRanges != nil {
		t.Errorf("nextExpectedRanges in a final answer: %s", a.Body)
	}
}

func TestAnExactDuplicateIsAnsweredTheSame(t *testing.T) {
	t.Parallel()
	c := newClient(start(t), "dup", small)
	first := put(t, c, smallChunk[0], http.StatusAccepted)
	second := put(t, c, smallChunk[0], http.StatusAccepted)
	wantRange(t, first, 100, 1000)
	wantRange(t, second, 100, 1000)
}

// slowPut sends the head and half of a chunk, and returns what sends the rest and
// returns the answer.
func slowPut(t *testing.T, s *Server, c *Client, r ranges.Range) (finish func() Answer) {
	t.Helper()
	w := dial(t, s.Addr)
	w.send("PUT /files/"+idOf(c.URL)+" HTTP/1.1", "Host: "+s.Addr, "Content-Range: "+ContentRange(r, c.Content.Size),
		fmt.Sprintf("Content-Length: %d", r.Len()), "Expect: 100-continue")
	demand(t, w.answer(), http.StatusContinue) // the request is being served
	bytes := string(c.Content.Bytes(r))
	w.write(bytes[:len(bytes)/2])
	time.Sleep(50 * time.Millisecond)
	return func() Answer {
		w.write(bytes[len(bytes)/2:])
		return w.answer()
	}
}

func TestADuplicateWhileTheFirstIsInFlightIsTaken(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newClient(s, "inflight", small)
	finish := slowPut(t, s, c, smallChunk[0])
	wantRange(t, put(t, c, smallChunk[0], http.StatusAccepted), 100, 1000)
	demand(t, finish(), http.StatusAccepted)
	sendRest(t, c)
}

// sendRest completes an upload and demands that every byte is right.
func sendRest(t *testing.T, c *Client) {
	t.Helper()
	var last Answer
	for _, r := range c.Content.Chunks(100) {
		last = put(t, c, r, http.StatusAccepted, http.StatusCreated)
	}
	wantDone(t, last, c)
	wantFile(t, c.URL, c.Content)
}

func TestOverlapsAreTaken(t *testing.T) {
	t.Parallel()
	s := start(t)
	for name, r := range map[string]ranges.Range{
		"left":       {Start: 250, End: 350},
		"right":      {Start: 350, End: 450},
		"containing": {Start: 200, End: 500},
		"inside":     {Start: 320, End: 380},
		"across two": {Start: 350, End: 650},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(s, "overlap-"+strings.ReplaceAll(name, " ", "-"), small)
			put(t, c, ranges.Range{Start: 300, End: 400}, http.StatusAccepted)
			put(t, c, ranges.Range{Start: 600, End: 700}, http.StatusAccepted)
			put(t, c, r, http.StatusAccepted)
			want := ranges.NewSet(ranges.Range{Start: 300, End: 400}, ranges.Range{Start: 600, End: 700}, r)
			if have := received(t, c.URL); !have.Equal(want) {
				t.Errorf("received %v, want %v", have, want)
			}
			sendRest(t, c)
		})
	}
}

func TestTheFirstBytesStoredAtAnOffsetStay(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newClient(s, "first-wins", small)
	put(t, c, smallChunk[0], http.StatusAccepted)
	putAs(t, c.URL, strings.Repeat("x", 100), "bytes 0-99/1000", http.StatusAccepted)
	putAs(t, c.URL, strings.Repeat("x", 50), "bytes 25-74/1000", http.StatusAccepted)
	// Half of these bytes are there already, and half are new.
	putAs(t, c.URL, strings.Repeat("x", 50)+string(small.Bytes(ranges.Of(100, 50))), "bytes 50-149/1000", http.StatusAccepted)
	ask(t, http.MethodPatch, c.URL, strings.NewReader(string(small.Bytes(ranges.Of(150, 50)))),
		[]string{tusVersion, offsetBytes, "Upload-Offset: 150"}, http.StatusNoContent)
	putAs(t, c.URL, strings.Repeat("x", 100)+string(small.Bytes(ranges.Of(200, 10))), "bytes 100-209/1000", http.StatusAccepted)
	sendRest(t, c)
	putAs(t, c.URL, strings.Repeat("x", 100), "bytes 0-99/1000", http.StatusCreated)
	wantFile(t, c.URL, small)
}

func TestAfterAGapRangeCoversOnlyThePrefix(t *testing.T) {
	t.Parallel()
	c := newClient(start(t), "gap", small)
	wantRange(t, put(t, c, smallChunk[5], http.StatusAccepted), 0, 1000)
	wantRange(t, put(t, c, smallChunk[0], http.StatusAccepted), 100, 1000)
	wantRange(t, put(t, c, smallChunk[2], http.StatusAccepted), 100, 1000)
	wantRange(t, put(t, c, smallChunk[1], http.StatusAccepted), 300, 1000)
	state := status(t, c.URL)
	if !slices.Equal(state.Received, []string{"0-299", "500-599"}) || !slices.Equal(state.Missing, []string{"300-499", "600-999"}) {
		t.Errorf("received %v, missing %v", state.Received, state.Missing)
	}
	if state.ID != "gap" || state.Offset != 300 || state.Size == nil || *state.Size != 1000 || state.ExpirationDateTime.Before(time.Now()) {
		t.Errorf("the state is %+v", state)
	}
}

func TestChunksInReverseOrderAreTaken(t *testing.T) {
	t.Parallel()
	c := newClient(start(t), "reverse", small)
	for i := len(smallChunk) - 1; i > 0; i-- {
		wantRange(t, put(t, c, smallChunk[i], http.StatusAccepted), 0, 1000)
	}
	wantDone(t, put(t, c, smallChunk[0], http.StatusCreated), c)
	wantFile(t, c.URL, small)
}

// all sends the chunks at once, each on a connection of its own.
func all(t *testing.T, c *Client, chunks []ranges.Range) []Answer {
	t.Helper()
	answers := make([]Answer, len(chunks))
	errs := make([]error, len(chunks))
	var wg sync.WaitGroup
	for i, r := range chunks {
		wg.Go(func() { answers[i], errs[i] = c.Put(t.Context(), r) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("chunk %v: %v", chunks[i], err)
		}
	}
	return answers
}

// count is how many answers have the status; any other than 201 and 202 fails.
func count(t *testing.T, answers []Answer, status int) int {
	t.Helper()
	n := 0
	for _, a := range answers {
		demand(t, a, http.StatusAccepted, http.StatusCreated)
		if a.Status == status {
			n++
		}
	}
	return n
}

func TestAllChunksAtOnceAreTaken(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i := range 10 {
		c := newClient(s, fmt.Sprintf("parallel-%d", i), small)
		reversed := slices.Clone(smallChunk)
		slices.Reverse(reversed)
		if n := count(t, all(t, c, reversed), http.StatusCreated); n < 1 {
			t.Errorf("no answer was final")
		}
		wantFile(t, c.URL, small)
	}
}

func TestTwoLastChunksAtOnceFinishOneFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i := range 20 {
		c := newClient(s, fmt.Sprintf("last-%d", i), small)
		for _, r := range smallChunk[:8] {
			put(t, c, r, http.StatusAccepted)
		}
		if n := count(t, all(t, c, smallChunk[8:]), http.StatusCreated); n < 1 {
			t.Errorf("no answer was final")
		}
		wantFile(t, c.URL, small)
		wantOneFile(t, s, idOf(c.URL), small.Size)
		wantOneEvent(t, s, idOf(c.URL), "finished")
	}
}

// wantOneFile demands that the bytes of an upload lie in one place only.
func wantOneFile(t *testing.T, s *Server, id string, size int64) {
	t.Helper()
	n := 0
	for path, have := range listing(t, s.Data) {
		if strings.HasSuffix(path, "/"+id) && have == size {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%s lies in %d files: %v", id, n, listing(t, s.Data))
	}
}

func TestReplaysAfterCompletionGetTheFinalAnswer(t *testing.T) {
	t.Parallel()
	c := newClient(start(t), "replay", small)
	var final Answer
	for _, r := range smallChunk {
		final = put(t, c, r, http.StatusAccepted, http.StatusCreated)
	}
	for _, r := range smallChunk {
		again := put(t, c, r, http.StatusCreated)
		if string(again.Body) != string(final.Body) || again.Header.Get("Location") != final.Header.Get("Location") {
			t.Errorf("replay of %v: %s, the final answer was %s", r, again.Body, final.Body)
		}
	}
	wantDone(t, final, c)
	wantFile(t, c.URL, small)
}

func TestALostFinalAnswerIsGivenAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	lossy := proxied(t, s, func() Cut { return Cut{After: 1, Answer: true, Reset: true} })
	for name, again := range map[string]func(t *testing.T, c *Client) Answer{
		"to a replay": func(t *testing.T, c *Client) Answer { return put(t, c, small.All(), http.StatusCreated) },
		"to a query":  func(t *testing.T, c *Client) Answer { return putAs(t, c.URL, "", "bytes */1000", http.StatusCreated) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(s, "lost-"+name[5:], small)
			lost := newClient(&Server{Addr: lossy.Addr}, idOf(c.URL), small)
			lost.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			if a, err := lost.Put(t.Context(), small.All()); err == nil {
				t.Fatalf("the proxy let an answer through: %d", a.Status)
			}
			wantDone(t, again(t, c), c)
			wantFile(t, c.URL, small)
		})
	}
}

func TestChunksRacingToCreateAnUploadAgree(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i := range 30 {
		c := newClient(s, fmt.Sprintf("race-%d", i), small)
		count(t, all(t, c, []ranges.Range{smallChunk[9], smallChunk[0], smallChunk[4], smallChunk[9]}), http.StatusCreated)
		wantOneEvent(t, s, idOf(c.URL), "created")
		sendRest(t, c)
	}
}
