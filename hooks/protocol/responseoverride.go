package protocol

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"

	"github.com/holdfast-upload/holdfast/hooks/problem"
)

// ResponseOverride is what the app changes in the successful response to a request. The
// zero value changes nothing.
type ResponseOverride struct {
	Status int // 200 to 299; others keep the protocol's status
	Header map[string]string
	Body   string // replaces the protocol's body, unless ""
}

type overrideKey struct{}

// OverrideResponse changes the response to the request that ctx belongs to, if that is a
// successful POST, PUT or PATCH. Later overrides win.
func OverrideResponse(ctx context.Context, a ResponseOverride) {
	w, ok := ctx.Value(overrideKey{}).(*overrideWriter)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.Status >= 200 && a.Status < 300 {
		w.override.Status = a.Status
	}
	if a.Body != "" {
		w.override.Body = a.Body
	}
	maps.Copy(w.override.Header, problem.AllowedHeaders(a.Header))
}

// overrideWriter applies an override when the header is written.
type overrideWriter struct {
	http.ResponseWriter
	wroteHeader bool
	replaced    bool // the override's body was sent, the protocol's is dropped

	mu       sync.Mutex
	override ResponseOverride
}

// withResponseOverride enables OverrideResponse for a request.
func withResponseOverride(ctx context.Context, w http.ResponseWriter, method string) (context.Context, http.ResponseWriter) {
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		a := &overrideWriter{ResponseWriter: w, override: ResponseOverride{Header: map[string]string{}}}
		return context.WithValue(ctx, overrideKey{}, a), a
	}
	return ctx, w
}

func (w *overrideWriter) WriteHeader(status int) {
	if status < 200 || w.wroteHeader {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.wroteHeader = true
	if status >= 300 {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.mu.Lock()
	override := w.override
	w.mu.Unlock()
	for name, value := range override.Header {
		w.Header().Set(name, value)
	}
	if override.Status != 0 {
		status = override.Status
	}
	if w.replaced = override.Body != "" && status != http.StatusNoContent; w.replaced {
		w.Header().Set("Content-Length", strconv.Itoa(len(override.Body)))
	}
	w.ResponseWriter.WriteHeader(status)
	if w.replaced {
		_, _ = w.ResponseWriter.Write([]byte(override.Body)) // a client that disconnected will retry
	}
}

func (w *overrideWriter) Write(p []byte) (int, error) {
	if !w.wroteHeader {
		w.WriteHeader(http.StatusOK)
	}
	if w.replaced {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *overrideWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
