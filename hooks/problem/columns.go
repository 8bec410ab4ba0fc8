package problem

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/holdfast-upload/holdfast/storage"
)

// column is what a protocol does differently from the table.
type column struct {
	// status, if set, returns the status of the response: that of p, or another one. err
	// is the error of the table's row.
	status func(method string, err error, p Problem) int
	// body, if set, returns a body in another format than JSON.
	body func(p Problem) (contentType string, body []byte)
}

// columns are those of the protocols, by Protocol.Name.
var columns = map[string]column{
	"content-range": {status: retryable},
	"tus":           {status: tusStatus},
	"ietf":          {status: retryableButRate, body: details},
	"google":        {status: retryableButRate, body: googleError},
	"graph":         {status: retryable},
}

// retryable makes 503 of all temporary errors: the clients repeat a request after no other
// status.
func retryable(_ string, _ error, p Problem) int {
	if p.Retry() {
		return http.StatusServiceUnavailable
	}
	return p.Status
}

// retryableButRate makes 503 of temporary errors, but those of rate limits.
func retryableButRate(method string, err error, p Problem) int {
	if p.Status == http.StatusTooManyRequests {
		return p.Status
	}
	return retryable(method, err, p)
}

// statusChecksumMismatch is a status of the tus protocol (extension Checksum).
const statusChecksumMismatch = 460

// tusStatus has the statuses by which tus clients decide whether to resume or to start over.
func tusStatus(method string, err error, p Problem) int {
	switch resumes := method == http.MethodHead || method == http.MethodGet || method == http.MethodPatch; {
	case errors.Is(err, ErrChecksum):
		return statusChecksumMismatch
	case errors.Is(err, storage.ErrGone) && resumes:
		// Some clients, such as tus-java-client, start over only after 404, and give up
		// after 410.
		return http.StatusNotFound
	case method == http.MethodHead && (p.Retry() || p.Status >= 500):
		// After any other error, clients such as tus-js-client restart at byte 0.
		return http.StatusLocked
	}
	return p.Status
}

// jsonBody is the format of Content-Range, and of Microsoft Graph.
func jsonBody(p Problem) (string, []byte) {
	return "application/json", encode(map[string]any{"error": map[string]string{"code": p.Code, "message": p.Message}})
}

// details is the format of RFC 9457.
func details(p Problem) (string, []byte) {
	return "application/problem+json", encode(map[string]any{"title": p.Message, "status": p.Status, "code": p.Code})
}

// googleError is the format of Google's JSON APIs.
func googleError(p Problem) (string, []byte) {
	detail := map[string]string{"domain": "global", "reason": p.Code, "message": p.Message}
	return "application/json", encode(map[string]any{"error": map[string]any{"code": p.Status, "message": p.Message, "errors": []any{detail}}})
}

func encode(v any) []byte {
	text, _ := json.Marshal(v) // strings and numbers never fail
	return append(text, '\n')
}
