package speakers

import (
	"fmt"
	"net/http"
	"strconv"
)

// IETF speaks Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload).
type IETF struct {
	Version int // of Upload-Draft-Interop-Version: 3 to 10
}

var _ Speaker = IETF{}

// Name implements Speaker.
func (IETF) Name() string { return "ietf" }

func (s IETF) version() string { return "Upload-Draft-Interop-Version: " + strconv.Itoa(s.Version) }

// completeness returns the field that says whether an upload is complete.
func (s IETF) completeness(complete bool) string {
	name := "Upload-Complete"
	if s.Version == 3 {
		name, complete = "Upload-Incomplete", !complete
	}
	if complete {
		return name + ": ?1"
	}
	return name + ": ?0"
}

// Begin implements Speaker.
func (s IETF) Begin(c *Client, first Chunk) (string, State, error) {
	first.Sized = first.Sized && s.Version >= 5 // versions before have no Upload-Length
	length := ""
	if first.Sized {
		length = fmt.Sprintf("Upload-Length: %d", first.Total)
	}
	a, err := c.do(http.MethodPost, files, nil, s.version(), s.completeness(false), length, `Content-Disposition: inline; filename="video.mp4"`)
	if err == nil {
		err = a.demand(http.StatusCreated)
	}
	if err == nil {
		err = a.demandFields(s.version(), s.completeness(false))
	}
	if err != nil {
		return "", State{}, err
	}
	id, _, err := a.location(a.header.Get("Location"))
	return id, State{Size: sizeOf(first)}, err
}

// gone reports whether the answer is that for an upload that is gone.
func (s IETF) gone(a answer) bool {
	if s.Version <= 6 {
		return a.status == http.StatusNotFound
	}
	return a.status == http.StatusGone
}

// state reads the fields of an answer.
func (s IETF) state(a answer) (State, error) {
	found := State{Offset: a.number("Upload-Offset"), Size: a.number("Upload-Length")}
	if a.demandFields(s.completeness(true)) == nil {
		found.Complete = true
	} else if err := a.demandFields(s.completeness(false)); err != nil {
		return found, err
	}
	if found.Offset == Unknown {
		return found, a.unlike("Upload-Offset")
	}
	return found, a.demandFields(s.version())
}

// Status implements Speaker.
func (s IETF) Status(c *Client, id string) (State, error) {
	a, err := c.do(http.MethodHead, files+id, nil, s.version())
	switch {
	case err != nil:
		return State{}, err
	case s.gone(a):
		return State{}, ErrGone
	}
	if err := a.demand(http.StatusNoContent); err != nil {
		return State{}, err
	}
	if err := a.demandFields("Cache-Control: no-store"); err != nil {
		return State{}, err
	}
	return s.state(a)
}

// Append implements Speaker.
func (s IETF) Append(c *Client, id string, chunk Chunk) (State, error) {
	fields := []string{s.version(), s.completeness(chunk.Last), fmt.Sprintf("Upload-Offset: %d", chunk.Offset)}
	if s.Version >= 6 {
		fields = append(fields, "Content-Type: application/partial-upload")
	}
	if chunk.Sized && s.Version >= 5 {
		fields = append(fields, fmt.Sprintf("Upload-Length: %d", chunk.Total))
	}
	a, err := c.do(http.MethodPatch, files+id, chunk.Body, fields...)
	switch {
	case err != nil:
		return State{}, err
	case s.gone(a):
		return State{}, ErrGone
	case a.status == http.StatusConflict:
		found, err := s.state(a)
		if err == nil {
			err = ErrConflict
		}
		return found, err
	}
	found, err := s.state(a)
	if err != nil {
		return found, err
	}
	stored := http.StatusCreated
	if s.Version >= 7 && !found.Complete {
		stored = http.StatusNoContent
	}
	return found, a.demand(stored)
}

// Download implements Speaker. The upload resource is not the file, so a GET has no field of
// this protocol, as that of the Location in the final answer.
func (IETF) Download(c *Client, id string) ([]byte, error) {
	a, err := c.do(http.MethodGet, files+id, nil)
	if err != nil {
		return nil, err
	}
	return a.body, a.demand(http.StatusOK)
}

// Cancel implements Speaker.
func (s IETF) Cancel(c *Client, id string) error {
	a, err := c.do(http.MethodDelete, files+id, nil, s.version())
	if err == nil {
		err = a.demand(http.StatusNoContent)
	}
	if err == nil {
		err = a.demandFields(s.version())
	}
	return err
}
