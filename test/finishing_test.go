package test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// The tests whose names begin with F and a number show how holdfast behaves where
// other upload servers are known to lose data.

// A file that takes the place where the finished one belongs makes finishing fail.
func blockFinish(t *testing.T, s *Server, id string) (unblock func()) {
	t.Helper()
	place := filepath.Join(s.Data, id)
	if err := os.MkdirAll(filepath.Join(place, "in the way"), 0o750); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.RemoveAll(place); err != nil {
			t.Error(err)
		}
	}
}

func TestF05AFailedFinishIsCompletedByTheNextRequest(t *testing.T) {
	t.Parallel()
	s := start(t, "--sweep-interval", "1h")
	next := map[string]func(t *testing.T, c *Client){
		"a retried chunk": func(t *testing.T, c *Client) { wantDone(t, put(t, c, smallChunk[3], http.StatusCreated), c) },
		"a status query":  func(t *testing.T, c *Client) { wantDone(t, putAs(t, c.URL, "", "bytes */1000", 201), c) },
		"a HEAD of tus": func(t *testing.T, c *Client) {
			if _, offset := head(t, c.URL, http.StatusOK); offset != small.Size {
				t.Errorf("HEAD reports %d bytes", offset)
			}
		},
		"a plain HEAD": func(t *testing.T, c *Client) { ask(t, http.MethodHead, c.URL, nil, nil, http.StatusOK) },
		"a download":   func(t *testing.T, c *Client) { wantFile(t, c.URL, small) },
		"a restart":    func(t *testing.T, _ *Client) { restart(t, s) }, // which sweeps
	}
	for name, comes := range next {
		t.Run(name, func(t *testing.T) {
			c := newClient(s, "f05-"+strings.ReplaceAll(name, " ", "-"), small)
			for _, r := range smallChunk[:9] {
				put(t, c, r, http.StatusAccepted)
			}
			unblock := blockFinish(t, s, idOf(c.URL))
			put(t, c, smallChunk[9], http.StatusServiceUnavailable)
			put(t, c, smallChunk[9], http.StatusServiceUnavailable)
			unblock()
			comes(t, c)
			eventually(t, 30*time.Second, "the file is at its place", func() bool {
				info, err := os.Stat(filepath.Join(s.Data, idOf(c.URL)))
				return err == nil && info.Size() == small.Size
			})
			wantFile(t, c.URL, small)
			wantOneEvent(t, s, idOf(c.URL), "finished")
		})
	}
}

func TestF05TheSweeperFinishesWhatNoClientComesBackFor(t *testing.T) {
	t.Parallel()
	s := start(t, "--sweep-interval", "200ms")
	c := newClient(s, "forgotten", small)
	put(t, c, smallChunk[0], http.StatusAccepted)
	unblock := blockFinish(t, s, "forgotten")
	put(t, c, small.All(), http.StatusServiceUnavailable)
	unblock()
	eventually(t, 30*time.Second, "the sweeper finishes it", func() bool {
		info, err := os.Stat(filepath.Join(s.Data, "forgotten"))
		return err == nil && info.Size() == small.Size
	})
	wantFile(t, c.URL, small)
	wantOneEvent(t, s, "forgotten", "finished")
}

func TestF05KilledWhileFinishingItIsFinishedAfterTheRestart(t *testing.T) {
	t.Parallel()
	s := start(t)
	random := rand.New(rand.NewPCG(5, 5))
	for i := range 12 {
		c := newClient(s, fmt.Sprintf("killed-%d", i), small)
		for _, r := range smallChunk[:9] {
			put(t, c, r, http.StatusAccepted)
		}
		answered := make(chan Answer, 1)
		go func() {
			answer, _ := c.Put(t.Context(), smallChunk[9]) // it may break off
			answered <- answer
		}()
		time.Sleep(time.Duration(random.IntN(8000)) * time.Microsecond)
		restart(t, s)
		answer := <-answered
		have := ask(t, http.MethodPut, c.URL, nil, []string{"Content-Range: bytes */1000"}, 201, 202)
		if answer.Status == http.StatusCreated && have.Status != http.StatusCreated {
			t.Errorf("kill %d: acknowledged as finished, and not finished after the restart: %s", i, have.Body)
		}
		wantDone(t, put(t, c, smallChunk[9], http.StatusCreated), c)
		wantFile(t, c.URL, small)
		wantOneFile(t, s, idOf(c.URL), small.Size)
	}
}

func TestF07AShortLastPieceOfAnUnknownLengthIsKept(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(7, 16*mib+1)
	pieces := content.Chunks(3 * mib)
	last := pieces[len(pieces)-1]
	t.Run("by tus", func(t *testing.T) {
		url := createTus(t, s, -1, "Upload-Defer-Length: 1")
		for _, r := range pieces[:len(pieces)-1] {
			patch(t, url, content, r, http.StatusNoContent)
		}
		req := patchRequest(t.Context(), url, content, last)
		req.Header.Set("Upload-Length", fmt.Sprint(content.Size))
		if answer, err := Do(http.DefaultClient, req); err != nil || answer.Status != http.StatusNoContent {
			t.Fatalf("the last PATCH: %d %s (%v)", answer.Status, answer.Body, err)
		}
		wantFile(t, url, content)
	})
	t.Run("by Content-Range", func(t *testing.T) {
		url := s.URL("unknown-length")
		for _, r := range pieces[:len(pieces)-1] {
			ask(t, http.MethodPut, url, content.Part(r), []string{fmt.Sprintf("Content-Range: bytes %d-%d/*", r.Start, r.End-1)}, 202)
		}
		ask(t, http.MethodPut, url, content.Part(last), []string{"Content-Range: " + ContentRange(last, content.Size)}, 201)
		wantFile(t, url, content)
	})
	t.Run("by a stream", func(t *testing.T) {
		url := s.URL("stream")
		stream := io.MultiReader(content.Part(content.All())) // its length is not known
		ask(t, http.MethodPut, url, stream, nil, http.StatusCreated)
		wantFile(t, url, content)
	})
}

func TestF12ASecondCreationWithTheSameIDIsRefusedAndTheFirstIntact(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newClient(s, "mine", small)
	put(t, c, smallChunk[0], http.StatusAccepted)
	ask(t, http.MethodPut, c.URL, strings.NewReader("another file"), nil, http.StatusConflict)
	putAs(t, c.URL, "another file", "bytes 0-11/12", http.StatusBadRequest) // another size
	sendRest(t, c)
	ask(t, http.MethodPut, c.URL, strings.NewReader("another file"), nil, http.StatusConflict)
	wantFile(t, c.URL, small)
}

func TestF12TwoFilesRacingForOneIDDoNotMix(t *testing.T) {
	t.Parallel()
	s := start(t)
	files := []Content{NewContent(121, 200*kib), NewContent(122, 200*kib)}
	for i := range 20 {
		url := s.URL(fmt.Sprintf("raced-%d", i))
		var answers [2]Answer
		var errs [2]error
		var both sync.WaitGroup
		for n, content := range files {
			both.Go(func() {
				body := io.MultiReader(content.Part(content.All())) // its length is not known
				answers[n], errs[n] = Do(http.DefaultClient, request(t, http.MethodPut, url, body))
			})
		}
		both.Wait()
		created := 0
		for n, a := range answers {
			if errs[n] != nil {
				continue // the other one took its place, and its connection
			}
			demand(t, a, http.StatusCreated, http.StatusConflict, http.StatusServiceUnavailable)
			if a.Status == http.StatusCreated {
				created++
				wantFile(t, url, files[n])
			}
		}
		if created > 1 {
			t.Error("both were answered that theirs is the file")
		}
	}
}

func TestF13AnEmptyFileIsAFileAndOneEvent(t *testing.T) {
	t.Parallel()
	s := start(t)
	url := createTus(t, s, 0)
	if _, offset := head(t, url, http.StatusOK); offset != 0 {
		t.Errorf("the offset of an empty file is %d", offset)
	}
	wantFile(t, url, NewContent(0, 0))
	wantOneEvent(t, s, idOf(url), "finished")
	wantOneFile(t, s, idOf(url), 0)

	deferred := createTus(t, s, -1, "Upload-Defer-Length: 1")
	ask(t, http.MethodPatch, deferred, nil, []string{tusVersion, offsetBytes, "Upload-Offset: 0", "Upload-Length: 0"}, http.StatusNoContent)
	wantFile(t, deferred, NewContent(0, 0))
	wantOneEvent(t, s, idOf(deferred), "finished")

	putAs(t, s.URL("empty"), "", "bytes */0", http.StatusCreated)
	wantFile(t, s.URL("empty"), NewContent(0, 0))
	wantOneEvent(t, s, "empty", "finished")
	restart(t, s)
	wantFile(t, url, NewContent(0, 0))
}

func TestF14TheSameChunkTwiceAtOnceAndTheFinalOneReplayed(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(14, 4*mib)
	halves := content.Chunks(2 * mib)
	for i := range 10 {
		c := newClient(s, fmt.Sprintf("f14-%d", i), content)
		for _, a := range all(t, c, []ranges.Range{halves[0], halves[0], halves[0]}) {
			demand(t, a, http.StatusAccepted)
			wantRange(t, a, 2*mib, content.Size)
		}
		for _, a := range all(t, c, []ranges.Range{halves[1], halves[1], halves[1]}) {
			wantDone(t, a, c)
		}
		wantDone(t, put(t, c, halves[1], http.StatusCreated), c)
		wantFile(t, c.URL, content)
		wantOneEvent(t, s, idOf(c.URL), "finished")
	}
}
