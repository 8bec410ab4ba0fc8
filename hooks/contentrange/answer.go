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

// progress is the body of a 202: more is wanted. Clients of Microsoft Graph's
// upload sessions understand it, and those of blueimp's uploader look at files.
type progress struct {
	Expires *time.Time `json:"expirationDateTime,omitempty"`
	// Next is one range, from the first missing byte to the end. Its last offset
	// is left out while the size is unknown.
	Next  []string   `json:"nextExpectedRanges"`
	Files []fileInfo `json:"files"`
	// URL is that of the upload with a ticket in it, for those who are given one.
	URL string `json:"uploadUrl,omitempty"`
}

// done is the body of a 201: the file is there.
type done struct {
	ID    string     `json:"id"`
	Name  string     `json:"name"`
	Size  int64      `json:"size"`
	Files []fileInfo `json:"files"`
	URL   string     `json:"uploadUrl,omitempty"` // see progress
}

type fileInfo struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // received so far
}

// status is the body of a GET while the file is not complete. The ranges are
// inclusive, as in a Range header.
type status struct {
	ID       string     `json:"id"`
	Size     *int64     `json:"size"` // null while unknown
	Offset   int64      `json:"offset"`
	Received []string   `json:"received"`
	Missing  []string   `json:"missing"`
	Expires  *time.Time `json:"expirationDateTime,omitempty"`
	Next     []string   `json:"nextExpectedRanges"`
	URL      string     `json:"uploadUrl,omitempty"` // see progress
}

// answer tells the client how far the upload is, in the same way after every
// PUT: one that brought something, one that brought it again, or a query.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, up storage.Upload) {
	file := fileInfo{Name: name(up), Size: up.Received.Bytes()}
	if up.Finished {
		file.Size = up.Size
		w.Header().Set("Location", d.opts.URLs.Upload(r, up.ID))
		writeJSON(w, http.StatusCreated, done{up.ID, file.Name, up.Size, []fileInfo{file}, d.ticketed(r, up)})
		return
	}
	setRange(w.Header(), up)
	writeJSON(w, http.StatusAccepted, progress{d.expires(up), next(up), []fileInfo{file}, d.ticketed(r, up)})
}

func (d *Door) get(w http.ResponseWriter, r *http.Request, id string) error {
	up, err := d.uploads.Get(r.Context(), id)
	if err != nil {
		return err
	}
	if up.Finished {
		return hooks.ServeFile(w, r, d.uploads, up, d.opts.IdleTimeout)
	}
	s := status{ID: up.ID, Offset: up.Offset(), Received: list(up.Received), Missing: list(up.Missing()),
		Expires: d.expires(up), Next: next(up), URL: d.ticketed(r, up)}
	if up.Size != storage.Unknown {
		s.Size = &up.Size
	}
	setRange(w.Header(), up)
	writeJSON(w, http.StatusOK, s)
	return nil
}

// head answers as GET does, in headers: those that tus has for it, and Range.
func (d *Door) head(w http.ResponseWriter, r *http.Request, id string) error {
	up, err := d.uploads.Get(r.Context(), id)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Upload-Offset", strconv.FormatInt(up.Offset(), 10))
	if up.Size != storage.Unknown {
		h.Set("Upload-Length", strconv.FormatInt(up.Size, 10))
	}
	if up.Finished {
		return hooks.ServeFile(w, r, d.uploads, up, d.opts.IdleTimeout)
	}
	if at := d.uploads.Expires(up); !at.IsZero() {
		h.Set("Upload-Expires", at.UTC().Format(http.TimeFormat))
	}
	setRange(h, up)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

// refuse answers with an error. What may pass is always a 503 with Retry-After.
// A refusal of the app is given as it is.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *hooks.Refusal
	if errors.As(err, &refusal) {
		writeRefusal(w, r, refusal)
		return
	}
	p := d.explain(r, err)
	if p.Retry() {
		p.Status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", p.RetryAfter)
	}
	writeJSON(w, p.Status, map[string]any{"error": map[string]string{"code": p.Code, "message": p.Message}})
}

func (d *Door) explain(r *http.Request, err error) hooks.Problem {
	if errors.Is(err, errEncoded) {
		return hooks.Problem{Status: http.StatusUnsupportedMediaType, Code: "unsupportedMediaType", Message: err.Error()}
	}
	if errors.Is(err, storage.ErrGone) && r.Method == http.MethodGet && speaksTus(r) {
		err = storage.ErrNotFound // as the tus door has it
	}
	return hooks.Explain(r, d.opts.Log, err)
}

func writeRefusal(w http.ResponseWriter, r *http.Request, refusal *hooks.Refusal) {
	status, header, body := refusal.Answer(r.Context())
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
	if up.Size == storage.Unknown {
		return []string{fmt.Sprintf("%d-", up.Offset())}
	}
	return []string{ranges.Range{Start: up.Offset(), End: up.Size}.String()}
}

func list(set ranges.Set) []string {
	out := make([]string, 0, set.Count())
	for _, r := range set.Ranges() {
		out = append(out, r.String())
	}
	return out
}

func name(up storage.Upload) string {
	if n := up.Filename(); n != "" {
		return n
	}
	return up.ID
}

// ticketed is the URL of an upload for a caller who gets a ticket, "" for others.
func (d *Door) ticketed(r *http.Request, up storage.Upload) string {
	url := d.opts.Ticketed(r, up)
	if url == d.opts.URLs.Upload(r, up.ID) {
		return ""
	}
	return url
}

func (d *Door) expires(up storage.Upload) *time.Time {
	at := d.uploads.Expires(up)
	if at.IsZero() {
		return nil
	}
	at = at.UTC().Truncate(time.Second)
	return &at
}
