package speakers

import (
	"encoding/base64"
	"fmt"
	"net/http"
)

// Tus speaks tus 1.0, with the extensions creation, creation-defer-length and termination.
type Tus struct{}

var _ Speaker = Tus{}

const tusResumable = "Tus-Resumable: 1.0.0"

// Name implements Speaker.
func (Tus) Name() string { return "tus" }

// Begin implements Speaker.
func (Tus) Begin(c *Client, first Chunk) (string, State, error) {
	length := "Upload-Defer-Length: 1"
	if first.Sized {
		length = fmt.Sprintf("Upload-Length: %d", first.Total)
	}
	name := base64.StdEncoding.EncodeToString([]byte("video.mp4"))
	a, err := c.do(http.MethodPost, files, nil, tusResumable, length, "Upload-Metadata: filename "+name)
	if err == nil {
		err = a.demand(http.StatusCreated)
	}
	if err == nil {
		err = a.demandFields(tusResumable)
	}
	if err != nil {
		return "", State{}, err
	}
	id, _, err := a.location(a.header.Get("Location"))
	return id, State{Size: sizeOf(first)}, err
}

// sizeOf returns the size that a client has given with the creation of an upload.
func sizeOf(first Chunk) int64 {
	if first.Sized {
		return first.Total
	}
	return Unknown
}

// Status implements Speaker.
func (Tus) Status(c *Client, id string) (State, error) {
	a, err := c.do(http.MethodHead, files+id, nil, tusResumable)
	switch {
	case err != nil:
		return State{}, err
	case a.status == http.StatusNotFound:
		return State{}, ErrGone
	}
	if err := a.demand(http.StatusOK, http.StatusNoContent); err != nil {
		return State{}, err
	}
	if err := a.demandFields(tusResumable, "Cache-Control: no-store"); err != nil {
		return State{}, err
	}
	s := State{Offset: a.number("Upload-Offset"), Size: a.number("Upload-Length")}
	deferred := a.header.Get("Upload-Defer-Length")
	if s.Offset == Unknown || (s.Size == Unknown) != (deferred == "1") || s.Size != Unknown && deferred != "" {
		return s, a.unlike("Upload-Offset, and Upload-Length or Upload-Defer-Length: 1")
	}
	s.Complete = s.Offset == s.Size
	return s, nil
}

// Append implements Speaker.
func (Tus) Append(c *Client, id string, chunk Chunk) (State, error) {
	s := State{Size: Unknown}
	length := ""
	if chunk.Sized || chunk.Last {
		s.Size = chunk.Total
		length = fmt.Sprintf("Upload-Length: %d", chunk.Total)
	}
	a, err := c.do(http.MethodPatch, files+id, chunk.Body, tusResumable, length,
		fmt.Sprintf("Upload-Offset: %d", chunk.Offset), "Content-Type: application/offset+octet-stream")
	switch {
	case err != nil:
		return s, err
	case a.status == http.StatusNotFound:
		return s, ErrGone
	case a.status == http.StatusConflict:
		return s, ErrConflict
	}
	if err := a.demand(http.StatusNoContent); err != nil {
		return s, err
	}
	if s.Offset = a.number("Upload-Offset"); s.Offset == Unknown {
		return s, a.unlike("Upload-Offset")
	}
	s.Complete = s.Offset == s.Size
	return s, a.demandFields(tusResumable)
}

// Download implements Speaker. tus has no word for it: clients get the URL of the upload.
func (Tus) Download(c *Client, id string) ([]byte, error) {
	a, err := c.do(http.MethodGet, files+id, nil, tusResumable)
	if err != nil {
		return nil, err
	}
	return a.body, a.demand(http.StatusOK)
}

// Cancel implements Speaker.
func (Tus) Cancel(c *Client, id string) error {
	a, err := c.do(http.MethodDelete, files+id, nil, tusResumable)
	if err == nil {
		err = a.demand(http.StatusNoContent)
	}
	if err == nil {
		err = a.demandFields(tusResumable)
	}
	return err
}
