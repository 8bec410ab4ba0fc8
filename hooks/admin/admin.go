// Package admin serves what operators need and clients must not reach. It asks for no
// credentials: an address of its own keeps clients away, and Guard keeps web pages away that
// an operator's browser shows.
package admin

import (
	"net/http"

	"github.com/holdfast-upload/holdfast/storage"
)

// Handler serves lists of uploads and deliveries. Answers are JSON, one value in a line:
//
//	GET /uploads[?all]              the uploads that are incomplete or whose delivery is pending;
//	                                with all, finished ones too
//	GET /deliveries                 the deliveries that are pending or dead-lettered
//	POST /deliveries/retry[?id=ID]  delivers those uploads now, or all that are pending
type Handler struct {
	uploads *storage.Uploads
	mux     *http.ServeMux
}

// New returns a Handler of these uploads.
func New(uploads *storage.Uploads) *Handler {
	h := &Handler{uploads, http.NewServeMux()}
	h.mux.HandleFunc("GET /uploads", h.listUploads)
	h.mux.HandleFunc("GET /deliveries", h.listDeliveries)
	h.mux.HandleFunc("POST /deliveries/retry", h.retryDeliveries)
	return h
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }
