package hooks

import (
	"context"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// Refusal is an error whose answer somebody else has decided on: the app, in answer to
// a hook. The doors give it to the client as it is; see Answer.
type Rejection struct {
	Status int // 400 to 599
	Header map[string]string
	Body   string
}

func (r *Rejection) Error() string { return "the app refuses it: " + r.Body }

// Answer is what to send to the client whose request ctx belongs to: a status that is an error's, 400 if none was
// chosen, and no header that is malformed or the server's own business, such as
// Content-Length.
func (r *Rejection) Response(ctx context.Context) (status int, header map[string]string, body string) {
	RequestLogFrom(ctx).setErrorCode("refusedByApp")
	status = r.Status
	if status < 400 || status > 599 {
		status = http.StatusBadRequest
	}
	return status, allowedHeaders(r.Header), r.Body
}

// clean is what the app may say in the head of an answer.
func allowedHeaders(header map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range header {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if isToken(name) && isFieldValue(value) && !slices.Contains(serversOwn, name) {
			out[name] = value
		}
	}
	return out
}

// serversOwn are header fields by which the server delimits its answers.
var serversOwn = []string{"Connection", "Content-Length", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// isToken tells whether s can be the name of a header field (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// isFieldValue tells whether s holds no character that could end a header field, or
// another that has no place in one.
func isFieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
