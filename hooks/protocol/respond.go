package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// WriteRejection writes the response that the app has chosen for a rejected request.
func WriteRejection(w http.ResponseWriter, r *http.Request, rejection *problem.Rejection) {
	status, header, body := AppRejection(r, rejection)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	for name, value := range header {
		h.Set(name, value)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that has disconnected retries
}

// WriteJSON writes a response with v in JSON, which no cache may keep. It panics if v cannot
// be encoded.
func WriteJSON(w http.ResponseWriter, code int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	writeBody(w, code, "application/json", append(text, '\n'))
}

func writeBody(w http.ResponseWriter, code int, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(body) // a client that has disconnected retries
}

// Reject writes the response for an error: the app's own, unchanged, or that of the table of
// errors in the format of the request's protocol.
func (o Options) Reject(w http.ResponseWriter, r *http.Request, err error) {
	var rejection *problem.Rejection
	if errors.As(err, &rejection) {
		WriteRejection(w, r, rejection)
		return
	}
	p := FromError(r, o.Log, err)
	if p.Retry() {
		w.Header().Set("Retry-After", p.RetryAfter)
	}
	contentType, body := p.Body()
	writeBody(w, p.Status, contentType, body)
}

// maxJSON is the maximum size of the JSON that ReadJSON reads, in bytes.
const maxJSON = 64 << 10

// ReadJSON reads the JSON with which an upload is created. An empty body changes nothing.
//
// Errors: storage.ErrBadRequest, storage.ErrBodyAborted.
func ReadJSON(body io.Reader, v any) error {
	text, err := io.ReadAll(io.LimitReader(body, maxJSON+1))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", storage.ErrBodyAborted, err)
	case len(text) > maxJSON:
		return fmt.Errorf("%w: the JSON has more than %d bytes", storage.ErrBadRequest, maxJSON)
	case len(text) == 0:
		return nil
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%w: the body is not valid JSON: %w", storage.ErrBadRequest, err)
	}
	return nil
}

// SetRange sets Range to the first contiguous range, "bytes=0-99", as Google's resumable
// uploads do. The header is left out while byte 0 is missing.
func SetRange(h http.Header, up storage.Upload) {
	if n := up.Offset(); n > 0 {
		h.Set("Range", "bytes="+ranges.Of(0, n).String())
	}
}
