package test

import (
	"net/http"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Flow.js and Resumable.js ask by GET whether a chunk is stored, and do not send it if the
// answer is 200: the file itself, or the state of an upload without that chunk, must not be.
func TestAGetWithAContentRangeReportsWhetherThatRangeIsStored(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		c := newClient(s, "asked", small)
		asks := func(contentRange string, want int) {
			t.Helper()
			ask(t, http.MethodGet, c.URL, nil, []string{"Content-Range: " + contentRange}, want)
		}
		asks("bytes 0-399/1000", http.StatusNoContent) // there is no upload
		put(t, c, ranges.Of(400, 300), http.StatusAccepted)
		asks("bytes 400-699/1000", http.StatusOK)
		asks("bytes 500-599/*", http.StatusOK)
		asks("bytes */1000", http.StatusOK)
		for _, missing := range []string{"bytes 0-399/1000", "bytes 399-699/1000", "bytes 400-700/1000", "bytes 999-999/1000", "bytes 0--1/*"} {
			asks(missing, http.StatusNoContent)
		}
		asks("bytes 400-699/2000", http.StatusBadRequest) // another file
		asks("bytes 400-*/1000", http.StatusBadRequest)
		asks("bytes 699-400/1000", http.StatusBadRequest)
		put(t, c, ranges.Of(0, 400), http.StatusAccepted)
		put(t, c, ranges.Of(700, 300), http.StatusCreated)
		asks("bytes 0-399/1000", http.StatusOK)
		asks("bytes 0-999/1000", http.StatusOK)
		asks("bytes 1000-1999/*", http.StatusNoContent)
		a := ask(t, http.MethodGet, c.URL, nil, []string{"Content-Range: bytes 0-399/1000"}, http.StatusOK)
		if len(a.Body) >= int(small.Size) || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("the answer is no state: %q, %.100q", a.Header.Get("Content-Type"), a.Body)
		}
		ask(t, http.MethodDelete, c.URL, nil, nil, http.StatusNoContent)
		asks("bytes 0-399/1000", http.StatusGone)
	})
}
