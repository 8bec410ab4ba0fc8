package contentrange

import (
	"fmt"
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// incompleteBody holds the fields that every JSON response about an upload has besides its
// rangeLists. Those of Microsoft Graph's upload sessions are among them, and blueimp's
// uploader reads files.
type incompleteBody struct {
	Expires *time.Time `json:"expirationDateTime,omitempty"`
	// Next holds one range, from the first missing byte to the end. Its last offset
	// is left out while the size is unknown. It is empty once the file is complete.
	Next  []string   `json:"nextExpectedRanges,omitempty"`
	Files []fileInfo `json:"files"`
	transport.Checksums
	// URL is the upload's URL with a ticket, for principals that are issued one.
	URL string `json:"uploadUrl,omitempty"`
}

// acceptedBody is the body of a 202: bytes are still missing.
type acceptedBody struct {
	rangeLists
	incompleteBody
}

// finishedBody is the body of a 201: the file is complete.
type finishedBody struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Size int64  `json:"size"`
	rangeLists
	incompleteBody
}

type fileInfo struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // received so far
}

// Respond writes the state of the upload. The response is the same after every successful
// PUT: one that stored bytes, one that repeated them, and a query.
func (d *Handler) Respond(w http.ResponseWriter, r *http.Request, up storage.Upload) {
	rangeLists, progress := rangeListsOf(up, maxListed), d.progress(r, up)
	if up.Finished {
		w.Header().Set("Location", d.opts.URLs.Upload(r, up.ID))
		protocol.WriteJSON(w, http.StatusCreated, finishedBody{up.ID, name(up), up.Size, rangeLists, progress})
		return
	}
	protocol.SetRange(w.Header(), up)
	protocol.WriteJSON(w, acceptedStatus(r), acceptedBody{rangeLists, progress})
}

// RespondSession answers the creation of an upload with its state, and the URL at which its
// client sends it.
func (d *Handler) RespondSession(w http.ResponseWriter, r *http.Request, up storage.Upload, url string) {
	progress := d.progress(r, up)
	progress.URL = url
	protocol.WriteJSON(w, http.StatusOK, acceptedBody{rangeListsOf(up, maxListed), progress})
}

func (d *Handler) progress(r *http.Request, up storage.Upload) incompleteBody {
	file := fileInfo{Name: name(up), Size: up.Received.Bytes()}
	if up.Finished {
		file.Size = up.Size
	}
	return incompleteBody{d.expires(up), next(up), []fileInfo{file}, transport.ChecksumsOf(up), d.uploadURL(r, up)}
}

// reject writes the response for an error. Temporary errors are always 503 with
// Retry-After, or 423 for what may be the HEAD of a tus client.
func (d *Handler) reject(w http.ResponseWriter, r *http.Request, err error) {
	d.opts.Reject(w, r, err)
}

func next(up storage.Upload) []string {
	switch {
	case up.Finished:
		return nil
	case up.Size == storage.Unknown:
		return []string{fmt.Sprintf("%d-", up.Offset())}
	}
	return []string{ranges.Range{Start: up.Offset(), End: up.Size}.String()}
}

func name(up storage.Upload) string {
	if n := up.DisplayName(); n != "" {
		return n
	}
	return up.ID
}

// uploadURL returns the URL of an upload with a ticket, "" if the principal is issued none.
func (d *Handler) uploadURL(r *http.Request, up storage.Upload) string {
	url := d.opts.TicketedURL(r, up)
	if url == d.opts.URLs.Upload(r, up.ID) {
		return ""
	}
	return url
}

func (d *Handler) expires(up storage.Upload) *time.Time {
	at := d.uploads.Expires(up)
	if at.IsZero() {
		return nil
	}
	at = at.UTC().Truncate(time.Second)
	return &at
}
