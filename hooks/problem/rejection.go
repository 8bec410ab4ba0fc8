package problem

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// Rejection is an error whose response was chosen by the app, in its answer to a hook.
// Protocols pass it on to the client; see Response.
type Rejection struct {
	Status int // as the app chose it; see Response
	Header map[string]string
	Body   string
}

func (r *Rejection) Error() string { return "rejected by the app: " + r.Body }

// Response returns what to send to the client: an error status, 400 if the app chose none,
// and the headers without those that are malformed or reserved for the server, such as
// Content-Length.
func (r *Rejection) Response() (status int, header map[string]string, body string) {
	status = r.Status
	if status < 400 || status > 599 {
		status = http.StatusBadRequest
	}
	return status, AllowedHeaders(r.Header), r.Body
}

// AllowedHeaders returns the headers that the app may set.
func AllowedHeaders(header map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range header {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if isToken(name) && isFieldValue(value) && !slices.Contains(reservedHeaders, name) {
			out[name] = value
		}
	}
	return out
}

// reservedHeaders delimit the response, and are set by the server only.
var reservedHeaders = []string{"Connection", "Content-Length", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// isToken reports whether s is a valid header field name (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// isFieldValue reports whether s has no control characters, which could end a header field.
func isFieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
