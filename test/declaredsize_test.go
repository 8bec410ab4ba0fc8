package test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func TestChunksForADeletedUploadAreRefusedForGood(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newClient(s, "deleted", small)
	finish := slowPut(t, s, c, smallChunk[0])
	put(t, c, smallChunk[1], http.StatusAccepted)
	remove(t, s, "deleted")
	demand(t, finish(), http.StatusGone) // it was in flight when the upload went
	put(t, c, smallChunk[1], http.StatusGone)
	restart(t, s)
	put(t, c, smallChunk[1], http.StatusGone)
	wantNothingOf(t, s, "deleted")
}

func TestTheFirstTotalWinsAndStarAgreesWithAny(t *testing.T) {
	t.Parallel()
	s := start(t)
	text := string(small.Bytes(small.All()))
	t.Run("a total, then another", func(t *testing.T) {
		url := s.URL("total-total")
		putAs(t, url, text[:100], "bytes 0-99/1000", 202)
		putAs(t, url, text[100:200], "bytes 100-199/1001", 400)
		putAs(t, url, text[100:200], "bytes 100-199/999", 400)
		sendRest(t, newClient(s, "total-total", small))
	})
	t.Run("a total, then a star", func(t *testing.T) {
		url := s.URL("total-star")
		putAs(t, url, text[:100], "bytes 0-99/1000", 202)
		putAs(t, url, text[100:200], "bytes 100-199/*", 202)
		putAs(t, url, text[:200], "bytes 900-1099/*", 400)
		sendRest(t, newClient(s, "total-star", small))
	})
	t.Run("a star, then a total", func(t *testing.T) {
		url := s.URL("star-total")
		a := putAs(t, url, text[:100], "bytes 0-99/*", 202)
		if len(a.State.NextExpectedRanges) != 1 || a.State.NextExpectedRanges[0] != "100-" {
			t.Errorf("nextExpectedRanges is %v", a.State.NextExpectedRanges)
		}
		putAs(t, url, text[200:300], "bytes 200-299/*", 202)
		putAs(t, url, text[100:200], "bytes 100-199/250", 400) // 300 are there
		putAs(t, url, text[100:200], "bytes 100-199/1000", 202)
		putAs(t, url, text[300:400], "bytes 300-399/1001", 400)
		sendRest(t, newClient(s, "star-total", small))
	})
}

func TestCurlsRangeOptionWithTheWholeFileIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	// curl -T file -r 0-99 names a range and sends everything.
	putAs(t, s.URL("curl-r"), string(small.Bytes(small.All())), "bytes 0-99/1000", http.StatusBadRequest)
	ask(t, http.MethodGet, s.URL("curl-r"), nil, nil, http.StatusNotFound)
	sendRest(t, newClient(s, "curl-r", small))
}

func TestAnEmptyFileInAllItsSpellings(t *testing.T) {
	t.Parallel()
	s := start(t)
	spellings := []string{"bytes */0", "bytes 0--1/0", "bytes 0-*/0", "bytes 0-*/*", "bytes 0--1/*", "BYTES  */0", ""}
	for i, field := range spellings {
		t.Run(field, func(t *testing.T) {
			url := s.URL(fmt.Sprintf("empty-%d", i))
			fields := []string{"Content-Range: " + field}
			if field == "" {
				fields = nil
			}
			a := ask(t, http.MethodPut, url, nil, fields, http.StatusCreated, http.StatusAccepted)
			if a.Status == http.StatusAccepted { // the size is still open: a query with it closes it
				a = putAs(t, url, "", "bytes */0", http.StatusCreated)
			}
			wantDone(t, a, newClient(s, idOf(url), NewContent(0, 0)))
			if file := ask(t, http.MethodGet, url, nil, nil, http.StatusOK); len(file.Body) != 0 {
				t.Errorf("the file has %d bytes", len(file.Body))
			}
			wantOneFile(t, s, idOf(url), 0)
			wantDone(t, ask(t, http.MethodPut, url, nil, fields, http.StatusCreated), newClient(s, idOf(url), NewContent(0, 0)))
		})
	}
}

func TestAnUnknownSizeIsClosedByAQueryOrAnEmptyRange(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(17, 200)
	for name, last := range map[string]string{
		"a query with the size": "bytes */200",
		"an empty last range":   "bytes 200-199/200",
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(s, "multiple-"+strings.Fields(name)[1], content)
			text := string(content.Bytes(content.All()))
			putAs(t, c.URL, text[:100], "bytes 0-99/*", http.StatusAccepted)
			putAs(t, c.URL, text[100:], "bytes 100-199/*", http.StatusAccepted)
			wantDone(t, putAs(t, c.URL, "", last, http.StatusCreated), c)
			wantFile(t, c.URL, content)
		})
	}
	t.Run("not before all is there", func(t *testing.T) {
		c := newClient(s, "not-yet", content)
		text := string(content.Bytes(content.All()))
		putAs(t, c.URL, text[:100], "bytes 0-99/*", http.StatusAccepted)
		putAs(t, c.URL, "", "bytes */200", http.StatusAccepted)
		putAs(t, c.URL, "", "bytes */50", http.StatusAccepted, http.StatusBadRequest)
		putAs(t, c.URL, text[100:], "bytes 100-199/*", http.StatusAccepted)
		putAs(t, c.URL, "", "bytes */200", http.StatusCreated)
		wantFile(t, c.URL, content)
	})
}

func TestSpacesAndCaseOfContentRangeAreTolerated(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i, field := range []string{"bytes 0-99/100", "Bytes 0-99/100", "BYTES   0-99/100", "bytes 0-99/100  ", "bytes 0-99 / 100", "bytes 00-099/0100"} {
		t.Run(field, func(t *testing.T) {
			content := NewContent(18, 100)
			c := newClient(s, fmt.Sprintf("spaces-%d", i), content)
			wantDone(t, putAs(t, c.URL, string(content.Bytes(content.All())), field, http.StatusCreated), c)
			wantFile(t, c.URL, content)
		})
	}
}

func TestAStatusQueryChangesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newClient(s, "query", small)
	for _, field := range []string{"bytes */*", "bytes */1000"} {
		putAs(t, c.URL, "", field, http.StatusNotFound) // and does not create it
	}
	put(t, c, smallChunk[0], http.StatusAccepted)
	put(t, c, smallChunk[3], http.StatusAccepted)
	before := listing(t, s.Data)
	for _, field := range []string{"bytes */1000", "bytes */*"} {
		wantRange(t, putAs(t, c.URL, "", field, http.StatusAccepted), 100, 1000)
	}
	putAs(t, c.URL, "", "bytes */999", http.StatusBadRequest)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		a := ask(t, method, c.URL, nil, nil, http.StatusOK)
		if got := a.Header.Get("Range"); got != "bytes=0-99" {
			t.Errorf("%s: Range is %q", method, got)
		}
	}
	if after := listing(t, s.Data); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("a query changed the files: %v, before %v", after, before)
	}
	sendRest(t, c)
}

func TestHeadersOfIOSChangeNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newClient(s, "phone", small)
	c.Header = phoneHeader(100) // Upload-Length is that of the task's body, not of the file
	for _, r := range smallChunk[:9] {
		a := put(t, c, r, http.StatusAccepted) // fails on a 1xx other than 100
		wantRange(t, a, r.End, 1000)
		for name := range a.Header {
			if strings.HasPrefix(name, "Upload-") {
				t.Errorf("the answer has %s, which a URLSession may take for that of a resumable upload", name)
			}
		}
	}
	wantDone(t, put(t, c, smallChunk[9], http.StatusCreated), c)
	wantFile(t, c.URL, small)
}

func TestContentRangeWithTusHeadersIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	v := newVictim(t, s, "both")
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		ask(t, method, v.url(), strings.NewReader(v.body(10)), []string{"Content-Range: bytes 10-19/100",
			tusVersion, offsetBytes, "Upload-Offset: 10"}, http.StatusBadRequest)
	}
	v.survives(nothing)
}

func TestAPutWithoutContentRangeIsAWholeFileOrNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	t.Run("on a new URL", func(t *testing.T) {
		c := newClient(s, "whole", small)
		wantDone(t, ask(t, http.MethodPut, c.URL, small.Part(small.All()), nil, http.StatusCreated), c)
		wantFile(t, c.URL, small)
		ask(t, http.MethodPut, c.URL, strings.NewReader("something else"), nil, http.StatusConflict)
		wantFile(t, c.URL, small)
	})
	t.Run("on an upload with bytes", func(t *testing.T) {
		v := newVictim(t, s, "begun")
		for _, length := range []int{0, 1, 10, 99, 101} {
			ask(t, http.MethodPut, v.url(), strings.NewReader(strings.Repeat("x", length)), nil, http.StatusConflict)
			stream := io.MultiReader(strings.NewReader(strings.Repeat("x", length))) // its length is not known
			ask(t, http.MethodPut, v.url(), stream, nil, http.StatusConflict)
		}
		v.survives(nothing)
	})
	t.Run("on an empty upload made by tus", func(t *testing.T) {
		url := createTus(t, s, small.Size)
		ask(t, http.MethodPut, url, strings.NewReader("too short"), nil, http.StatusConflict)
		wantDone(t, ask(t, http.MethodPut, url, small.Part(small.All()), nil, http.StatusCreated), newClient(s, idOf(url), small))
		wantFile(t, url, small)
	})
}

func TestAChunkSlowerThanTheExpiryIsTaken(t *testing.T) {
	t.Parallel()
	s := start(t, "--expire-after", "4s", "--sweep-interval", "100ms")
	content := NewContent(32, 40)
	c := newClient(s, "slow", content)
	w := dial(t, s.Addr)
	w.send("PUT /files/slow HTTP/1.1", "Host: "+s.Addr, "Content-Range: bytes 0-39/40", "Content-Length: 40")
	for i := range int64(40) {
		w.write(string(content.Bytes(ranges.Of(i, 1))))
		time.Sleep(250 * time.Millisecond)
	}
	wantDone(t, w.answer(), c)
	wantFile(t, c.URL, content)
}

func TestAFileThatIsTooLargeIsRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-size", "1000")
	refused := map[string][]string{
		"by its total":            {"Content-Range: bytes 0-99/1001", "Content-Length: 100"},
		"by its range":            {"Content-Range: bytes 1000-1000/*", "Content-Length: 1"},
		"by its length":           {"Content-Length: 1001"},
		"by a range to its end":   {"Content-Range: bytes 0-*/*", "Content-Length: 1001"},
		"by the largest of sizes": {"Content-Range: bytes 0-99/9223372036854775807", "Content-Length: 100"},
	}
	for name, fields := range refused {
		t.Run(name, func(t *testing.T) {
			w := dial(t, s.Addr)
			w.send(append([]string{"PUT /files/large HTTP/1.1", "Host: " + s.Addr, "Expect: 100-continue"}, fields...)...)
			demand(t, w.answer(), http.StatusRequestEntityTooLarge) // and no 100 before it
			ask(t, http.MethodGet, s.URL("large"), nil, nil, http.StatusNotFound)
		})
	}
	t.Run("when its length shows", func(t *testing.T) {
		w := dial(t, s.Addr)
		w.send("PUT /files/grows HTTP/1.1", "Host: "+s.Addr, "Transfer-Encoding: chunked")
		w.write(chunked(strings.Repeat("x", 1001)) + "0\r\n\r\n")
		demand(t, w.answer(), http.StatusRequestEntityTooLarge)
		remove(t, s, "grows")
	})
	sendRest(t, newClient(s, "fits", small))
}
