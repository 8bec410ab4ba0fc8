// Package contentrange implements uploads by PUT, in chunks with a Content-Range header or
// of a whole file, for background URLSession tasks, curl, browser uploaders and custom
// clients.
//
// Chunks may be sent in any order, in parallel, more than once, overlapping, and after the
// last one. The upload's URL was returned when it was created, or ends in an id that the
// client chose: then the first chunk creates the upload. A chunk is stored completely and
// answered with 202, or with 201 once the file is complete; otherwise the response is 503
// and the client sends it again. Temporary errors are always 503, since clients of this
// kind give up on others. There are no redirects of a PUT, since background sessions would
// follow them with the body.
//
// RFC 9110, section 14.5, leaves partial PUT to private agreement between client and
// server. This is the agreement:
//
//	PUT with Content-Range: bytes a-b/T   stores a chunk; T may be *
//	PUT with Content-Range: bytes */T     (empty) asks for the state; see query
//	PUT without Content-Range             stores a whole file; see putWhole
//	GET, HEAD                             return the state, or the file
//	GET with Content-Range                reports whether that range is stored; see serveRangeQuery
//	DELETE                                deletes the upload
//
// A PUT is rejected if header fields of another protocol mark its body as a part of a file,
// or if it is a form: the stored file would not be the client's.
package contentrange

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// Handler handles requests of the content-range protocol. Create it with New.
type Handler struct {
	uploads *storage.Uploads
	opts    protocol.Options

	descriptions descriptions
	prefixes     prefixes
}

var _ protocol.Protocol = (*Handler)(nil)

// New returns a Handler for uploads.
func New(uploads *storage.Uploads, opts protocol.Options) *Handler {
	return &Handler{uploads: uploads, opts: opts}
}

// Name implements protocol.Protocol.
func (d *Handler) Name() string { return "content-range" }

// Matches implements protocol.Protocol. A Content-Range matches even beside header fields of
// other protocols, some of which iOS adds by itself. So do chunks of libraries that would send
// a Content-Range if they were configured to; see checkRecipe.
func (d *Handler) Matches(r *http.Request) bool {
	switch r.Method {
	case http.MethodPut, http.MethodGet:
		return true
	case http.MethodHead, http.MethodDelete:
		return !hasTusHeaders(r)
	case http.MethodPost, http.MethodPatch:
		return len(r.Header.Values("Content-Range")) > 0 || len(r.Header.Values("X-Content-Range")) > 0 && !hasTusHeaders(r) || needsRecipe(r)
	}
	return false
}

func hasTusHeaders(r *http.Request) bool { return r.Header.Get("Tus-Resumable") != "" }

// AddOptionsHeaders implements protocol.Protocol. Accept-Content-Range is for clients that ask
// whether chunks may be sent in any order: no standard header says so.
func (d *Handler) AddOptionsHeaders(h http.Header) {
	h.Set("Accept-Ranges", "bytes")
	h.Set("Accept-Content-Range", "bytes")
}

func (d *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := protocol.ExchangeOf(r.Context()).Body
	if err := d.serve(w, r, body); err != nil {
		body.DrainOrClose(w, r)
		d.reject(w, r, cmp.Or(body.Refused(), err))
	}
}

func (d *Handler) serve(w http.ResponseWriter, r *http.Request, body *transport.Body) error {
	if err := checkRecipe(r, body); err != nil {
		return err
	}
	id := d.opts.URLs.ID(r)
	if id == "" {
		return fmt.Errorf("%w: this needs the URL of an upload, such as %sID", storage.ErrNotFound, d.opts.URLs.BasePath)
	}
	if err := storage.CheckID(id); err != nil {
		return err
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodDelete:
		return d.serveBodiless(w, body.Ignore(r), id)
	}
	up, err := d.Receive(r, id, true, body)
	if err != nil {
		return err
	}
	d.Respond(w, r, up)
	return nil
}

// Receive executes a PUT for an upload, and returns the resulting state: it stores a chunk
// or a whole file, or answers a query. If create is set, it creates the upload if there is
// none. It is also for other protocols whose clients send Content-Range.
func (d *Handler) Receive(r *http.Request, id string, create bool, body *transport.Body) (storage.Upload, error) {
	if err := body.VerifyDigests(r); err != nil {
		return storage.Upload{}, err
	}
	p, err := d.readPut(r, id)
	if err != nil {
		return storage.Upload{}, err
	}
	p.create = create
	if p.end != unknown {
		body.LimitSpool(p.end-p.start, errLength)
	}
	if limit := d.uploads.MaxSize(); limit > 0 {
		body.LimitSpool(limit-p.start, storage.ErrTooLarge)
	}
	return d.putConsistent(r, p, body)
}

// serveBodiless serves GET, HEAD and DELETE.
func (d *Handler) serveBodiless(w http.ResponseWriter, r *http.Request, id string) error {
	switch {
	case r.Method == http.MethodDelete:
	case r.Method == http.MethodGet && len(r.Header.Values("Content-Range")) > 0:
		return d.serveRangeQuery(w, r, id)
	default:
		return d.get(w, r, id)
	}
	if err := d.uploads.Delete(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
