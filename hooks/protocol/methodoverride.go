package protocol

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/transport"
)

// methods lists the methods that the Router and the protocols support.
var methods = []string{
	http.MethodOptions, http.MethodHead, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}

var allowed = strings.Join(methods, ", ")

// supportedMethod reports whether the method of r is supported.
func supportedMethod(r *http.Request) bool { return slices.Contains(methods, r.Method) }

// overrideMethod replaces the method of a POST by the one in X-HTTP-Method-Override, if
// there is one (tus 1.0, section "X-HTTP-Method-Override").
func (x *Exchange) overrideMethod(r *http.Request) *http.Request {
	method := r.Header.Get("X-HTTP-Method-Override")
	if r.Method != http.MethodPost || method == "" {
		return r
	}
	r = r.WithContext(r.Context())
	r.Method = method
	x.headOnly = method == http.MethodHead
	return r
}

// RejectMethod responds with 405 Method Not Allowed; allow is the value of the Allow header.
func RejectMethod(w http.ResponseWriter, r *http.Request, allow string) {
	const text = "method not allowed\n"
	FromError(r, nil, problem.ErrMethod)
	h := w.Header()
	h.Set("Allow", allow)
	transport.RejectBody(w, r)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(http.StatusMethodNotAllowed)
	_, _ = io.WriteString(w, text) // a client that disconnected will retry
}
