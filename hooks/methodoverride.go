package hooks

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// methods are those that mean something to the Router or to a door.
var methods = []string{
	http.MethodOptions, http.MethodHead, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}

var allowed = strings.Join(methods, ", ")

// known tells whether the method of r is one that means something.
func supportedMethod(r *http.Request) bool { return slices.Contains(methods, r.Method) }

// meant gives each request the method that it means, before anybody goes by it: a POST
// may name another one in X-HTTP-Method-Override, which then is the method and POST is
// not (tus 1.0, section "X-HTTP-Method-Override").
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

// headOnly is the answer to a POST that means HEAD: it has no body, and does not
// announce one, for which the client of a POST would wait.
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

// RefuseMethod answers a request whose method means nothing where it was sent; allow are
// those that do.
func RejectMethod(w http.ResponseWriter, r *http.Request, allow string) {
	const text = "this method means nothing here\n"
	h := w.Header()
	h.Set("Allow", allow)
	RejectBody(w, r)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(http.StatusMethodNotAllowed)
	_, _ = io.WriteString(w, text) // a client that is gone asks again
}
