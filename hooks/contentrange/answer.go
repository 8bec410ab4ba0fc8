package contentrange

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// progress is what every answer in JSON says of an upload beside its extent. Clients of
// Microsoft Graph's upload sessions understand it, and those of blueimp's uploader look
// at files.
type incompleteBody struct {
	Expires *time.Time `json:"expirationDateTime,omitempty"`
	// Next is one range, from the first missing byte to the end. Its last offset
	// is left out while the size is unknown. There is none once the file is complete.
	Next  []string   `json:"nextExpectedRanges,omitempty"`
	Files []fileInfo `json:"files"`
	hooks.Checksums
	// URL is that of the upload with a ticket in it, for those who are given one.
	URL string `json:"uploadUrl,omitempty"`
}

// more is the body of a 202: something is still missing.
type more struct {
	extent
	incompleteBody
}

// done is the body of a 201: the file is there.
type finishedBody struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Size int64  `json:"size"`
	extent
	incompleteBody
}

type fileInfo struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // received so far
}

// answer tells the client how far the upload is, in the same way after every
// PUT: one that brought something, one that brought it again, or a query.
func (d *Handler) respond(w http.ResponseWriter, r *http.Request, up storage.Upload) {
	extent, progress := extentOf(up, maxListed), d.progress(r, up)
	if up.Finished {
		w.Header().Set("Location", d.opts.URLs.Upload(r, up.ID))
		writeJSON(w, http.StatusCreated, finishedBody{up.ID, name(up), up.Size, extent, progress})
		return
	}
	setRange(w.Header(), up)
	writeJSON(w, http.StatusAccepted, more{extent, progress})
}

func (d *Handler) progress(r *http.Request, up storage.Upload) incompleteBody {
	file := fileInfo{Name: name(up), Size: up.Received.Bytes()}
	if up.Finished {
		file.Size = up.Size
	}
	return incompleteBody{d.expires(up), next(up), []fileInfo{file}, hooks.ChecksumsOf(up), d.uploadURL(r, up)}
}

// refuse answers with an error. What may pass is always a 503 with Retry-After.
// A refusal of the app is given as it is.
func (d *Handler) reject(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *hooks.Rejection
	if errors.As(err, &refusal) {
		writeRejection(w, r, refusal)
		return
	}
	p := d.fromError(r, err)
	if p.Retry() {
		p.Status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", p.RetryAfter)
	}
	writeJSON(w, p.Status, map[string]any{"error": map[string]string{"code": p.Code, "message": p.Message}})
}

func (d *Handler) fromError(r *http.Request, err error) hooks.Problem {
	if errors.Is(err, storage.ErrGone) && r.Method == http.MethodGet && hasTusHeaders(r) {
		err = storage.ErrNotFound // as the tus door has it
	}
	if errors.Is(err, storage.ErrGone) && r.Method == http.MethodGet && hasTusHeaders(r) {
		err = storage.ErrNotFound // as the tus door has it
	}
	return hooks.FromError(r, d.opts.Log, err)
}

func writeRejection(w http.ResponseWriter, r *http.Request, refusal *hooks.Rejection) {
	status, header, body := refusal.Response(r.Context())
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	for name, value := range header {
		h.Set(name, value)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that is gone asks again
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // none of the types here can fail
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(append(text, '\n')) // a client that is gone asks again
}

// setRange says which bytes are there from the first on, "bytes=0-99", as Google's
// resumable uploads do. The header is left out while byte 0 is missing.
func setRange(h http.Header, up storage.Upload) {
	if n := up.Offset(); n > 0 {
		h.Set("Range", "bytes="+ranges.Of(0, n).String())
	}
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
	if n := up.Filename(); n != "" {
		return n
	}
	return up.ID
}

// ticketed is the URL of an upload for a caller who gets a ticket, "" for others.
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
