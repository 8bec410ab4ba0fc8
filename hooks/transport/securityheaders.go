package transport

import "net/http"

// NoScripts is the Content-Security-Policy of all responses: a browser that displays one
// does so without scripts, in an opaque origin, and never in a frame.
const NoScripts = "default-src 'none'; frame-ancestors 'none'; sandbox"

// SetSecurityHeaders sets headers of the response to r that keep browsers from interpreting
// it as active content. Handlers must not overwrite them, except for a page of this server's
// own. If embeddable, pages of any origin may embed the response.
func SetSecurityHeaders(h http.Header, r *http.Request, embeddable bool) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", NoScripts)
	h.Set("Referrer-Policy", "no-referrer") // URLs may contain tickets
	h.Set("Cross-Origin-Resource-Policy", "same-site")
	if embeddable {
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
		// Against request smuggling (RFC 9112, section 6.1): a proxy may have used a
		// Content-Length instead, so no request may follow on this connection.
		h.Set("Connection", "close")
	}
}
