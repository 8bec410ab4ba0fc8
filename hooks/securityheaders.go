package hooks

import (
	"net/http"
	"slices"
)

// NoScripts is the Content-Security-Policy of all that is served: should a browser show
// it after all, then without scripts, in an origin of its own, and in nobody's frame.
const NoScripts = "default-src 'none'; frame-ancestors 'none'; sandbox"

// Secure sets the headers that keep browsers from making more of an answer than it is.
// Overwrite none of them.
func SecurityHeaders(c CORS, next http.Handler) http.Handler {
	embedding := "same-site"
	if slices.Contains(c.Origins, "*") {
		embedding = "cross-origin"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", NoScripts)
		h.Set("Referrer-Policy", "no-referrer") // URLs may have tickets in them
		h.Set("Cross-Origin-Resource-Policy", embedding)
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
			// A proxy that went by a Content-Length beside it would take what follows the
			// body for a part of it (RFC 9112, section 6.1): nothing is to follow.
			h.Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
