package speakers

import (
	"fmt"
	"net/http"
	"strings"
)

// Graph speaks the upload sessions of Microsoft Graph.
type Graph struct{}

var _ Speaker = Graph{}

// Name implements Speaker.
func (Graph) Name() string { return "graph" }

// Begin implements Speaker.
func (s Graph) Begin(c *Client, first Chunk) (string, State, error) {
	item := `{"item":{"@microsoft.graph.conflictBehavior":"rename","name":"video.mp4"}}`
	if first.Sized {
		item = fmt.Sprintf(`{"item":{"name":"video.mp4","fileSize":%d}}`, first.Total)
	}
	a, err := c.do(http.MethodPost, "/v1.0/me/drive/root:/Videos/video.mp4:/createUploadSession", []byte(item), "Content-Type: application/json")
	if err != nil {
		return "", State{}, err
	}
	var session rangeState
	if err := a.demand(http.StatusOK); err != nil {
		return "", State{}, err
	}
	if err := a.json(&session); err != nil {
		return "", State{}, err
	}
	state, err := session.next(a)
	if err != nil {
		return "", State{}, err
	}
	id, query, err := a.location(session.URL)
	if err == nil && query != sessionState {
		err = a.unlike("the URL of a session")
	}
	return id, state, err
}

// sessionState is the query of a session's URL.
const sessionState = "state"

// next reads nextExpectedRanges, which has one range, or none of a finished upload.
func (r rangeState) next(a answer) (State, error) {
	switch {
	case r.Next == nil || len(r.Next) > 1:
		return State{}, a.unlike("one range in nextExpectedRanges, or []")
	case len(r.Next) == 0:
		return State{Complete: true, Offset: Unknown, Size: Unknown}, nil
	}
	var offset, last int64
	switch n, _ := fmt.Sscanf(r.Next[0], "%d-%d", &offset, &last); {
	case n == 2:
		return State{Offset: offset, Size: last + 1}, nil
	case n == 1 && strings.HasSuffix(r.Next[0], "-"):
		return State{Offset: offset, Size: Unknown}, nil
	}
	return State{}, a.unlike("a range in nextExpectedRanges")
}

// session sends a request to the session.
func (Graph) session(c *Client, method, id string, body []byte, fields ...string) (answer, rangeState, error) {
	a, err := c.do(method, files+id+"?"+sessionState, body, fields...)
	switch {
	case err != nil:
		return a, rangeState{}, err
	case a.status == http.StatusGone:
		return a, rangeState{}, ErrGone
	}
	var found rangeState
	if err := a.demand(http.StatusOK, http.StatusAccepted, http.StatusCreated); err != nil {
		return a, found, err
	}
	return a, found, a.json(&found)
}

// Status implements Speaker.
func (s Graph) Status(c *Client, id string) (State, error) {
	a, found, err := s.session(c, http.MethodGet, id, nil)
	if err != nil {
		return State{}, err
	}
	return found.next(a)
}

// Append implements Speaker. A chunk is answered with what comes next, and the last one with
// 201 and the item.
func (s Graph) Append(c *Client, id string, chunk Chunk) (State, error) {
	a, found, err := s.session(c, http.MethodPut, id, chunk.Body, contentRange(chunk, true))
	switch {
	case err != nil:
		return State{}, err
	case a.status != http.StatusCreated:
		return found.next(a)
	case found.Size == nil:
		return State{}, a.unlike("an item with its size")
	}
	return State{Complete: true, Offset: Unknown, Size: *found.Size}, found.isFinal(a, id)
}

// Download implements Speaker. The file is at the Location of the last answer.
func (Graph) Download(c *Client, id string) ([]byte, error) {
	a, err := c.do(http.MethodGet, files+id, nil)
	if err != nil {
		return nil, err
	}
	return a.body, a.demand(http.StatusOK)
}

// Cancel implements Speaker.
func (Graph) Cancel(c *Client, id string) error {
	a, err := c.do(http.MethodDelete, files+id+"?"+sessionState, nil)
	if err == nil {
		err = a.demand(http.StatusNoContent)
	}
	return err
}
