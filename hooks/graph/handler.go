// Package graph creates uploads as Microsoft Graph's createUploadSession does, for its
// client libraries:
//
//	POST {any path}/createUploadSession   answers with the uploadUrl of a new upload
//
// All that follows at the uploadUrl is Content-Range: chunks by PUT, the state by GET, and
// the end by DELETE.
package graph

import (
	"cmp"
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// Handler creates upload sessions. Create it with New.
type Handler struct {
	uploads *storage.Uploads
	opts    protocol.Options
	respond Responder
}

var _ protocol.Protocol = (*Handler)(nil)

// Responder answers the creation of an upload with its state, and the URL of its session.
type Responder func(w http.ResponseWriter, r *http.Request, up storage.Upload, url string)

// New returns a Handler for uploads, whose responses are written by respond.
func New(uploads *storage.Uploads, opts protocol.Options, respond Responder) *Handler {
	return &Handler{uploads, opts, respond}
}

// Name implements protocol.Protocol.
func (h *Handler) Name() string { return "graph" }

// Matches implements protocol.Protocol. The URL of an upload is always that of an upload.
func (h *Handler) Matches(r *http.Request) bool {
	return r.Method == http.MethodPost && ServesPath(r.URL.Path) && storage.CheckID(h.opts.URLs.ID(r)) != nil
}

// AddOptionsHeaders implements protocol.Protocol.
func (h *Handler) AddOptionsHeaders(http.Header) {}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := protocol.ExchangeOf(r.Context()).Body
	err := cmp.Or(body.Decompress(r), body.VerifyDigests(r))
	if err == nil {
		err = h.create(w, r, body)
	}
	if err != nil {
		body.DrainOrClose(w, r)
		h.opts.Reject(w, r, cmp.Or(body.Refused(), err))
	}
}

func (h *Handler) create(w http.ResponseWriter, r *http.Request, body *transport.Body) error {
	var given session
	if err := protocol.ReadJSON(body, &given); err != nil {
		return err
	}
	up, err := h.uploads.Create(r.Context(), given.record(r.URL.Path))
	if err != nil {
		return err
	}
	// With "state", a GET returns the state of a finished upload too, and not its file.
	h.respond(w, r, up, protocol.WithQuery(h.opts.TicketedURL(r, up), "state"))
	return nil
}
