package auth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// reject responds to a request that is not authenticated, without reading its body.
func (a *Auth) reject(w http.ResponseWriter, r *http.Request, err error) {
	h := w.Header()
	p := a.errorResponse(r, err)
	if r.Header.Get("Tus-Resumable") != "" {
		h.Set("Tus-Resumable", "1.0.0")
	}
	if c := challenge(err); c != "" {
		h.Set("WWW-Authenticate", c)
	}
	if p.Retry() {
		h.Set("Retry-After", p.RetryAfter)
	}
	transport.RejectBody(w, r)
	text, _ := json.Marshal(map[string]any{"error": map[string]string{"code": p.Code, "message": p.Message}}) // strings never fail
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(text, '\n')) // a client that disconnected will retry
}

func (a *Auth) errorResponse(r *http.Request, err error) problem.Problem {
	if !errors.Is(err, errAuthUnavailable) {
		return protocol.FromError(r, a.opts.Log, err)
	}
	p := problem.Problem{Status: http.StatusServiceUnavailable, Code: "serviceNotAvailable", Message: errAuthUnavailable.Error(), RetryAfter: problem.RetryAfter}
	if r.Method == http.MethodHead && r.Header.Get("Tus-Resumable") != "" {
		p.Status = http.StatusLocked // tus clients restart from byte 0 after a 5xx
	}
	return p
}

// challenge returns the WWW-Authenticate header (RFC 6750, section 3), "" if none is needed.
func challenge(err error) string {
	const realm = `Bearer realm="holdfast"`
	switch {
	case errors.Is(err, errNone):
		return realm
	case errors.Is(err, errExpired):
		return realm + `, error="invalid_token", error_description="the credentials have expired"`
	case errors.Is(err, problem.ErrUnauthenticated):
		return realm + `, error="invalid_token", error_description="the credentials are not valid"`
	case errors.Is(err, storage.ErrForbidden):
		return realm + `, error="insufficient_scope", error_description="the credentials do not grant this"`
	}
	return ""
}
