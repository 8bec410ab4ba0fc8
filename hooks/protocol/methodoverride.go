package protocol

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/transport"
)

// methods lists the methods that the Router and the protocols support.
var methods = []string{
	http.MethodOptions, http.MethodHead, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}

var allowed = strings.Join(methods, ", ")

// supportedMethod reports whether the method of r is supported.
func supportedMethod(r *http.Request) bool { return slices.Contains(methods, r.Method) }

// methodOverride replaces the method of a POST by the one in X-HTTP-Method-Override, if
// there is one (tus 1.0, section "X-HTTP-Method-Override").
func methodOverride(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if method := r.Header.Get("X-HTTP-Method-Override"); r.Method == http.MethodPost && method != "" {
			r = r.WithContext(r.Context())
			r.Method = method
			if method == http.MethodHead {
				w = &headResponseWriter{ResponseWriter: w}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// headResponseWriter writes the response to a POST that is overridden to HEAD. It drops
// the body and its Content-Length: the client of a POST would wait for the body.
type headResponseWriter struct {
	http.ResponseWriter
	wroteHeader bool
}

// WriteHeader implements http.ResponseWriter.
func (w *headResponseWriter) WriteHeader(status int) {
	if status >= 200 {
		w.wroteHeader = true
		w.Header().Del("Content-Length")
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *headResponseWriter) Write(p []byte) (int, error) {
	if !w.wroteHeader {
		w.WriteHeader(http.StatusOK)
	}
	return len(p), nil
}

// Unwrap lets http.ResponseController reach the connection.
func (w *headResponseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// RejectMethod responds with 405 Method Not Allowed; allow is the value of the Allow header.
func RejectMethod(w http.ResponseWriter, r *http.Request, allow string) {
	const text = "method not allowed\n"
	h := w.Header()
	h.Set("Allow", allow)
	transport.RejectBody(w, r)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(http.StatusMethodNotAllowed)
	_, _ = io.WriteString(w, text) // a client that disconnected will retry
}
