package protocol

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	"github.com/holdfast-upload/holdfast/hooks/problem"
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
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(append(text, '\n')) // a client that has disconnected retries
}
