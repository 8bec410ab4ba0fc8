// Package contentrange is the door for clients that send a file in pieces by
// PUT with a Content-Range header, or whole: background URLSession tasks, curl,
// browser uploaders, and everything hand-made.
//
// Pieces may come in any order, in parallel, twice, overlapping, and after the
// last one. The upload's URL is one that was created elsewhere, or one whose last
// part the client chose: then whichever piece comes first creates it. A piece is
// stored whole and answered 202, or 201 once the file is complete, or else it is
// answered 503 and sent again. No other code than 503 is given for what may pass,
// since clients of this kind give up on others, and no redirect ever, since
// background sessions would follow it with the body.
//
// RFC 9110, section 14.5, leaves partial PUT to agreement between the two sides;
// this is the agreement:
//
//	PUT with Content-Range: bytes a-b/T   stores a piece; T may be *
//	PUT with Content-Range: bytes */T     (empty) asks what is there; see query
//	PUT without Content-Range             stores a whole file; see putWhole
//	GET, HEAD                             tell what is there, or serve the file
//	DELETE                                removes the upload
//
// A PUT whose header says in the terms of another protocol that it brings a part of a
// file is refused, and so is a form: the file would not be what the client means.
package contentrange

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
)

// Door is the Content-Range door. Create it with New.
type Handler struct {
	uploads *storage.Uploads
	opts    hooks.Options

	described descriptions
	begun     prefixes
}

var _ hooks.Protocol = (*Handler)(nil)

// New returns the door to uploads.
func New(uploads *storage.Uploads, opts hooks.Options) *Handler {
	return &Handler{uploads: uploads, opts: opts}
}

// Name implements hooks.Door.
func (d *Handler) Name() string { return "content-range" }

// Claims implements hooks.Door. A Content-Range decides, whatever headers of other
// protocols stand beside it: iOS adds some on its own.
func (d *Handler) Matches(r *http.Request) bool {
	switch r.Method {
	case http.MethodPut, http.MethodGet:
		return true
	case http.MethodHead, http.MethodDelete:
		return !hasTusHeaders(r)
	case http.MethodPost, http.MethodPatch:
		return len(r.Header.Values("Content-Range")) > 0
	}
	return false
}

func hasTusHeaders(r *http.Request) bool { return r.Header.Get("Tus-Resumable") != "" }

// Advertise implements hooks.Door.
func (d *Handler) AddOptionsHeaders(h http.Header) { h.Set("Accept-Ranges", "bytes") }

func (d *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := hooks.NewBody(w, r, d.opts.IdleTimeout, d.opts.Shutdown)
	defer body.Close()
	if err := d.serve(w, r, body); err != nil {
		body.DrainOrClose(w, r)
		d.reject(w, r, cmp.Or(body.Refused(), err))
	}
}

func (d *Handler) serve(w http.ResponseWriter, r *http.Request, body *hooks.Body) error {
	id := d.opts.URLs.ID(r)
	if id == "" {
		return fmt.Errorf("%w: this needs the URL of an upload, such as %sID", storage.ErrNotFound, d.opts.URLs.BasePath)
	}
	if err := storage.CheckID(id); err != nil {
		return err
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodDelete:
		body.Drain(r) // it means nothing
		return d.serveBodiless(w, r, id)
	}
	if err := body.CheckHeader(); err != nil {
		return err
	}
	p, err := d.readPut(r, id)
	if err != nil {
		return err
	}
	if p.end != unknown {
		body.LimitSpool(p.end-p.start, errLength)
	}
	if limit := d.uploads.MaxSize(); limit > 0 {
		body.LimitSpool(limit-p.start, storage.ErrTooLarge)
	}
	up, err := d.putDescribed(r, p, body)
	if err != nil {
		return err
	}
	d.respond(w, r, up)
	return nil
}

// serveBodiless serves a request that sends nothing.
func (d *Handler) serveBodiless(w http.ResponseWriter, r *http.Request, id string) error {
	if r.Method != http.MethodDelete {
		return d.get(w, r, id)
	}
	if err := d.uploads.Delete(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
