// Package google implements the uploads of Google Cloud Storage's JSON API, for Google's
// client libraries and for rclone: they upload here once their endpoint is changed.
//
//	POST /upload/storage/v1/b/{bucket}/o   creates an upload; uploadType says how its bytes come:
//	     ?uploadType=resumable             in chunks to the session URL in Location
//	     ?uploadType=multipart             in this request, after the metadata
//	     ?uploadType=media                 in this request, alone
//	GET, DELETE /storage/v1/b/{bucket}/o/{name}   the object of a finished upload
//
// A session URL is the URL of the upload with the query uploadType=resumable, which alone
// makes a request one of this protocol: the same upload can be continued and watched with
// other protocols at its URL. The session is served as Content-Range is, but with the
// answers of this protocol: 308 for an incomplete upload, and the object of a finished one.
//
// Each creation is a new upload, also with a name that was used before; nothing is
// replaced. Names and buckets are metadata. See find for how an object is found.
package google

import (
	"cmp"
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// Receiver executes the requests of a session.
type Receiver interface {
	// Receive executes a PUT with a Content-Range, and returns the resulting state of the
	// upload. Unless create is set, the upload must exist.
	Receive(r *http.Request, id string, create bool, body *transport.Body) (storage.Upload, error)
}

// Handler handles the requests of Google's protocol. Create it with New.
type Handler struct {
	uploads  *storage.Uploads
	receiver Receiver
	opts     protocol.Options
}

var _ protocol.Protocol = (*Handler)(nil)

// New returns a Handler for uploads.
func New(uploads *storage.Uploads, receiver Receiver, opts protocol.Options) *Handler {
	return &Handler{uploads, receiver, opts}
}

// Name implements protocol.Protocol.
func (h *Handler) Name() string { return "google" }

// Matches implements protocol.Protocol.
func (h *Handler) Matches(r *http.Request) bool {
	_, ok := h.parse(r)
	return ok
}

// AddOptionsHeaders implements protocol.Protocol.
func (h *Handler) AddOptionsHeaders(http.Header) {}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t, _ := h.parse(r)
	if !t.allows(r.Method) {
		protocol.RejectMethod(w, r, t.methods())
		return
	}
	body := protocol.ExchangeOf(r.Context()).Body
	err := cmp.Or(body.Decompress(r), body.VerifyDigests(r))
	if err == nil {
		err = h.serve(w, r, t, body)
	}
	if err != nil {
		body.DrainOrClose(w, r)
		h.opts.Reject(w, r, cmp.Or(body.Refused(), err))
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, t target, body *transport.Body) error {
	switch t.kind {
	case session:
		return h.serveSession(w, r, t.id, body)
	case collection:
		return h.create(w, r, t, body)
	case object:
		return h.serveObject(w, body.Ignore(r), t)
	}
	return errNoResource
}
