package speakers

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// Google speaks the resumable uploads of Google Cloud Storage's JSON API.
type Google struct {
	// Object is the name of the next object.
	Object string
	// No308 has it send chunks by POST and ask for 200 in place of 308, as Google's library
	// for Go does.
	No308 bool
}

var _ Speaker = Google{}

const (
	bucket        = "videos"
	sessionQuery  = "uploadType=resumable"
	statusClosed  = 499 // of the cancellation of a session
	overrideField = "X-Http-Status-Code-Override"
)

// Name implements Speaker.
func (Google) Name() string { return "google" }

// Begin implements Speaker.
func (s Google) Begin(c *Client, first Chunk) (string, State, error) {
	length := ""
	if first.Sized {
		length = fmt.Sprintf("X-Upload-Content-Length: %d", first.Total)
	}
	a, err := c.do(http.MethodPost, "/upload/storage/v1/b/"+bucket+"/o?"+sessionQuery+"&name="+url.QueryEscape(s.Object),
		[]byte("{}"), length, "X-Upload-Content-Type: video/mp4", "Content-Type: application/json")
	if err == nil {
		err = a.demand(http.StatusOK)
	}
	if err == nil {
		err = a.demandFields("Content-Length: 0")
	}
	if err != nil {
		return "", State{}, err
	}
	id, query, err := a.location(a.header.Get("Location"))
	if err == nil && query != sessionQuery {
		err = a.unlike("the URL of a session")
	}
	return id, State{Size: sizeOf(first)}, err
}

// object is the resource of a finished upload.
type object struct {
	Kind, Name, Bucket, Size, CRC32C, MediaLink, SelfLink string
}

// session sends a request to the session, and returns the object if the upload is finished.
func (s Google) session(c *Client, id string, body []byte, contentRange string) (object, State, error) {
	method, no308 := http.MethodPut, ""
	if s.No308 {
		method, no308 = http.MethodPost, "X-GUploader-No-308: yes"
	}
	a, err := c.do(method, files+id+"?"+sessionQuery, body, contentRange, no308)
	switch {
	case err != nil:
		return object{}, State{}, err
	case a.status == http.StatusGone:
		return object{}, State{}, ErrGone
	case s.incomplete(a):
		offset, err := a.prefix()
		if err == nil {
			err = a.demandFields("Content-Length: 0", "Location: ")
		}
		return object{}, State{Offset: offset, Size: Unknown}, err
	}
	var found object
	if err := a.demand(http.StatusOK); err != nil {
		return found, State{}, err
	}
	if err := a.json(&found); err != nil {
		return found, State{}, err
	}
	size, err := strconv.ParseInt(found.Size, 10, 64)
	if err != nil || found.Kind != "storage#object" || found.Name == "" || found.Bucket == "" {
		return found, State{}, a.unlike("an object")
	}
	return found, State{Complete: true, Offset: Unknown, Size: size}, nil
}

// incomplete reports whether an answer is 308, or what a client gets in place of it.
func (s Google) incomplete(a answer) bool {
	if s.No308 {
		return a.status == http.StatusOK && a.header.Get(overrideField) == "308"
	}
	return a.status == http.StatusPermanentRedirect
}

// Status implements Speaker.
func (s Google) Status(c *Client, id string) (State, error) {
	_, state, err := s.session(c, id, nil, "Content-Range: bytes */*")
	return state, err
}

// Append implements Speaker.
func (s Google) Append(c *Client, id string, chunk Chunk) (State, error) {
	_, state, err := s.session(c, id, chunk.Body, contentRange(chunk, chunk.Sized || chunk.Last))
	return state, err
}

// Download implements Speaker. The object says where its content is, and where it is itself.
func (s Google) Download(c *Client, id string) ([]byte, error) {
	found, _, err := s.session(c, id, nil, "Content-Range: bytes */*")
	if err != nil {
		return nil, err
	}
	var again object
	a, err := c.get(found.SelfLink)
	if err == nil {
		err = a.json(&again)
	}
	if err != nil {
		return nil, err
	}
	if again.Name != found.Name || again.Bucket != found.Bucket || again.CRC32C != found.CRC32C {
		return nil, a.unlike(fmt.Sprintf("the object %+v", found))
	}
	if a, err = c.get(found.MediaLink); err != nil {
		return nil, err
	}
	return a.body, s.verify(a, found)
}

// get gets what is at a link, from the next node.
func (c *Client) get(link string) (answer, error) {
	at, err := url.Parse(link)
	if err != nil {
		return answer{}, err
	}
	a, err := c.do(http.MethodGet, at.RequestURI(), nil)
	if err == nil {
		err = a.demand(http.StatusOK)
	}
	return a, err
}

// verify returns an error unless the content of an object matches its checksums.
func (Google) verify(a answer, found object) error {
	if sum := crc32c.Of(a.body).String(); sum != found.CRC32C {
		return a.unlike("content with the CRC32C " + found.CRC32C)
	}
	return a.demandFields("X-Goog-Hash: crc32c=" + found.CRC32C)
}

// Cancel implements Speaker.
func (Google) Cancel(c *Client, id string) error {
	a, err := c.do(http.MethodDelete, files+id+"?"+sessionQuery, nil)
	if err == nil {
		err = a.demand(statusClosed)
	}
	return err
}
