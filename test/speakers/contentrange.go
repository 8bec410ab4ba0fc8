package speakers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// ContentRange sends chunks by PUT with a Content-Range, as docs/content-range.md has it.
type ContentRange struct {
	// ID is that of the next upload.
	ID string
}

var _ Speaker = ContentRange{}

// Name implements Speaker.
func (ContentRange) Name() string { return "content-range" }

// Begin implements Speaker.
func (s ContentRange) Begin(c *Client, first Chunk) (string, State, error) {
	state, err := s.Append(c, s.ID, first)
	return s.ID, state, err
}

// rangeState is the JSON of this protocol, and of Microsoft Graph's.
type rangeState struct {
	ID       string
	Offset   int64
	Size     *int64
	Complete bool
	Received []string
	Missing  []string
	Next     []string `json:"nextExpectedRanges"`
	URL      string   `json:"uploadUrl"`
}

// Status implements Speaker.
func (ContentRange) Status(c *Client, id string) (State, error) {
	a, err := c.do(http.MethodGet, files+id, nil, "Accept: application/json")
	found, err := stateIn(a, err, http.StatusOK)
	if err != nil {
		return State{}, err
	}
	s := State{Complete: found.Complete, Offset: found.Offset, Size: Unknown}
	if found.Size != nil {
		s.Size = *found.Size
	}
	return s, found.agrees(a, s)
}

// stateIn returns the state in the answer of a request, which failed with err unless that is
// nil. It returns ErrGone for 410, and an error for a status that is not among wanted.
func stateIn(a answer, err error, wanted ...int) (found rangeState, _ error) {
	switch {
	case err != nil:
		return found, err
	case a.status == http.StatusGone:
		return found, ErrGone
	}
	if err := a.demand(wanted...); err != nil {
		return found, err
	}
	return found, a.json(&found)
}

// agrees returns an error unless the ranges of a state agree with it and with each other.
func (r rangeState) agrees(a answer, s State) error {
	prefix, err := a.prefix()
	if err != nil {
		return err
	}
	received, missing := parseRanges(r.Received), parseRanges(r.Missing)
	open := fmt.Sprintf("%d-", received.End())
	switch {
	case received.Prefix() != s.Offset, prefix != s.Offset:
		return a.unlike(fmt.Sprintf("offset, Range and received that agree: %d, %d, %v", s.Offset, prefix, received))
	case !received.Minus(missing).Equal(received):
		return a.unlike("ranges that are either received or missing")
	case s.Size == Unknown && !slices.Contains(r.Missing, open):
		return a.unlike("missing " + open)
	case s.Size != Unknown && received.Bytes()+missing.Bytes() != s.Size:
		return a.unlike("ranges that are all of the file")
	case s.Complete != (received.Bytes() == s.Size):
		return a.unlike("complete only with all ranges")
	}
	return nil
}

// parseRanges parses inclusive ranges, and leaves out those without an end.
func parseRanges(list []string) (set ranges.Set) {
	for _, text := range list {
		var first, last int64
		if n, _ := fmt.Sscanf(text, "%d-%d", &first, &last); n == 2 {
			set.Add(ranges.Range{Start: first, End: last + 1})
		}
	}
	return set
}

// Append implements Speaker.
func (ContentRange) Append(c *Client, id string, chunk Chunk) (State, error) {
	sized := chunk.Sized || chunk.Last
	a, err := c.do(http.MethodPut, files+id, chunk.Body, contentRange(chunk, sized), `Content-Disposition: attachment; filename="video.mp4"`)
	found, err := stateIn(a, err, http.StatusAccepted, http.StatusCreated)
	if err != nil {
		return State{}, err
	}
	received := parseRanges(found.Received)
	s := State{Complete: a.status == http.StatusCreated, Offset: received.Prefix(), Size: Unknown}
	switch {
	case s.Complete && found.Size == nil:
		return s, a.unlike("the size")
	case s.Complete:
		s.Size = *found.Size
		return s, found.isFinal(a, id)
	case !slices.Contains(found.Missing, fmt.Sprintf("%d-", received.End())):
		s.Size = max(received.End(), parseRanges(found.Missing).End())
	}
	prefix, err := a.prefix()
	if err == nil && prefix != s.Offset {
		err = a.unlike(fmt.Sprintf("Range up to %d", s.Offset))
	}
	return s, err
}

// isFinal returns an error unless the answer is that to the last chunk.
func (r rangeState) isFinal(a answer, id string) error {
	at, _, err := a.location(a.header.Get("Location"))
	if err == nil && (at != id || r.ID != id || len(r.Missing) > 0) {
		err = a.unlike("the id and the URL of " + id)
	}
	return err
}

// Download implements Speaker.
func (ContentRange) Download(c *Client, id string) ([]byte, error) {
	a, err := c.do(http.MethodGet, files+id, nil)
	if err == nil {
		err = a.demand(http.StatusOK)
	}
	if err == nil && !strings.Contains(a.header.Get("Content-Disposition"), "video.mp4") {
		err = a.unlike("the name of the file")
	}
	return a.body, err
}

// Cancel implements Speaker.
func (ContentRange) Cancel(c *Client, id string) error {
	a, err := c.do(http.MethodDelete, files+id, nil)
	if err == nil {
		err = a.demand(http.StatusNoContent)
	}
	return err
}
