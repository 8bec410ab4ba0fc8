package google

import (
	"net/http"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// statusCanceled is the status of a canceled session.
const statusCanceled = 499

// serveSession serves a chunk, a query of the state, or the end of a session.
func (h *Handler) serveSession(w http.ResponseWriter, r *http.Request, id string, body *transport.Body) error {
	if r.Method == http.MethodDelete {
		if err := h.uploads.Delete(body.Ignore(r).Context(), id); err != nil {
			return err
		}
		writeEmpty(w, statusCanceled)
		return nil
	}
	want, err := parseHashes(r.Header)
	if err != nil {
		return err
	}
	ctx := r.Context()
	if want.crc32c != nil {
		ctx = storage.Expect(ctx, *want.crc32c)
	}
	if isQuery(r) {
		if _, err := h.uploads.GetFlushed(ctx, id); err != nil {
			return err
		}
	}
	up, err := h.receiver.Receive(r.WithContext(ctx), id, false, body)
	if err != nil {
		return err
	}
	h.respond(w, r, up)
	return nil
}

// isQuery reports whether a request asks for the state of its session.
func isQuery(r *http.Request) bool {
	return strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Range")), "bytes */")
}

// respond answers with the state of an upload: its object if it is finished, and otherwise
// 308 with the first unbroken range. The 308 has no Location, since it is not a redirect.
func (h *Handler) respond(w http.ResponseWriter, r *http.Request, up storage.Upload) {
	if up.Finished && !wantsProgress(r, up) {
		h.writeObject(w, r, up)
		return
	}
	protocol.SetRange(w.Header(), up)
	if strings.EqualFold(r.Header.Get("X-GUploader-No-308"), "yes") {
		w.Header().Set("X-HTTP-Status-Code-Override", "308")
		writeEmpty(w, http.StatusOK)
		return
	}
	writeEmpty(w, http.StatusPermanentRedirect)
}

// wantsProgress reports whether a query is answered with 308 although the upload is
// finished. Google's library for Node.js takes a 200 there for an upload of 0 bytes, fails,
// and never asks for the object; after 308 with the whole range it sends an empty last
// chunk, whose answer has the object.
func wantsProgress(r *http.Request, up storage.Upload) bool {
	node := strings.Contains(r.Header.Get("X-Goog-Api-Client"), "gl-node/")
	return node && up.Size > 0 && r.Header.Get("Content-Range") == "bytes */*"
}
