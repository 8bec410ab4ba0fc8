package google

import (
	"fmt"
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// create creates an upload in the way that uploadType says.
func (h *Handler) create(w http.ResponseWriter, r *http.Request, t target, body *transport.Body) error {
	switch typ := r.URL.Query().Get("uploadType"); typ {
	case "resumable":
		return h.createSession(w, r, t, body)
	case "multipart":
		return h.createMultipart(w, r, t, body)
	case "media":
		return h.createMedia(w, r, t, body)
	default:
		return fmt.Errorf("%w: uploadType is %.30q, and must be resumable, multipart or media", storage.ErrBadRequest, typ)
	}
}

// createSession creates an upload and answers with its session URL. The answer is 200
// without a body, since some clients accept nothing else.
func (h *Handler) createSession(w http.ResponseWriter, r *http.Request, t target, body *transport.Body) error {
	var given properties
	if err := protocol.ReadJSON(body, &given); err != nil {
		return err
	}
	rec, err := given.record(r, t)
	if err != nil {
		return err
	}
	if rec.Size, err = declaredSize(r); err != nil {
		return err
	}
	up, err := h.uploads.Create(r.Context(), rec)
	if err != nil {
		return err
	}
	w.Header().Set("Location", protocol.WithQuery(h.opts.TicketedURL(r, up), "uploadType=resumable"))
	writeEmpty(w, http.StatusOK)
	return nil
}

func writeEmpty(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Length", "0")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
}
