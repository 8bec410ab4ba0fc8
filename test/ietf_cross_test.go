package test

import (
	"net/http"
	"strings"
	"testing"
)

// An upload of this protocol is continued, watched and finished by the others, and the
// other way round, on each store.
func TestIETFUploadsAreContinuedByOtherProtocols(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		c := six(t, s)
		url := c.create("ab", false, "Upload-Length: 9", "Content-Type: text/plain")
		ask(t, http.MethodPatch, url, strings.NewReader("cd"), []string{tusVersion, offsetBytes, "Upload-Offset: 2"}, http.StatusNoContent)
		putAs(t, url, "ghi", "bytes 6-8/9", http.StatusAccepted)
		c.wantState("a gap", c.state(url), 4, false)
		answer := c.append(url, 4, "ef", false) // the gap is filled: the rest is there
		demand(t, answer, http.StatusCreated)
		c.wantState("append", answer, 9, true)
		c.wantContent(url, "abcdefghi")
		wantOneEvent(t, s, idOf(url), "finished")

		byTus := createTus(t, s, 5)
		demand(t, c.append(byTus, 0, "ab", false), http.StatusCreated)
		ask(t, http.MethodHead, byTus, nil, []string{tusVersion}, http.StatusOK)
		demand(t, c.append(byTus, 2, "cde", true), http.StatusCreated)
		c.wantContent(byTus, "abcde")

		byRange := s.URL("by-range")
		putAs(t, byRange, "cd", "bytes 2-3/5", http.StatusAccepted)
		c.wantState("HEAD", c.state(byRange), 0, false)
		demand(t, c.append(byRange, 0, "ab", false), http.StatusCreated)
		c.wantState("HEAD", c.state(byRange), 4, false)
		demand(t, c.append(byRange, 4, "e", true), http.StatusCreated)
		c.wantContent(byRange, "abcde")
	})
}
