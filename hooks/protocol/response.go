package protocol

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/problem"
)

// ResponseOverride is what the app changes in the successful response to a request. The
// zero value changes nothing.
type ResponseOverride struct {
	Status int // 200 to 299; others keep the protocol's status
	Header map[string]string
	Body   string // replaces the protocol's body, unless ""
}

// OverrideResponse changes the response to the request that ctx belongs to, if that is a
// successful POST, PUT or PATCH. Later overrides win.
func OverrideResponse(ctx context.Context, a ResponseOverride) {
	x := ExchangeOf(ctx)
	x.mu.Lock()
	defer x.mu.Unlock()
	if a.Status >= 200 && a.Status < 300 {
		x.override.Status = a.Status
	}
	if a.Body != "" {
		x.override.Body = a.Body
	}
	if x.override.Header == nil {
		x.override.Header = map[string]string{}
	}
	maps.Copy(x.override.Header, problem.AllowedHeaders(a.Header))
}

// response is the state of a response.
type response struct {
	status   int // 0 until the header of the final response is written
	bytesOut int64
	headOnly bool          // a POST overridden to HEAD
	refusal  string        // the beginning of the body of a refusal
	dropBody bool          // the body of the protocol is not sent
	idle     time.Duration // how long the client may take no byte, 0 if not limited
}

// Header implements http.ResponseWriter.
func (x *Exchange) Header() http.Header { return x.w.Header() }

// Unwrap lets http.ResponseController reach the connection.
func (x *Exchange) Unwrap() http.ResponseWriter { return x.w }

// WriteHeader implements http.ResponseWriter.
func (x *Exchange) WriteHeader(status int) {
	if status < 200 || x.status != 0 {
		x.w.WriteHeader(status)
		return
	}
	if x.BeforeHeader != nil {
		status = x.BeforeHeader(status)
	}
	var body string
	if status < 300 && x.writes() {
		status, body = x.applyOverride(status)
	}
	if x.headOnly {
		// The client of a POST would wait for the body.
		x.Header().Del("Content-Length")
		x.dropBody = true
	}
	x.router.expose(x.Header())
	x.status = status
	x.w.WriteHeader(status)
	if body != "" {
		_, _ = x.send([]byte(body)) // a client that disconnected will retry
	}
}

// writes reports whether the request may change an upload.
func (x *Exchange) writes() bool {
	switch x.r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return true
	}
	return false
}

// applyOverride applies the app's changes to the header. It returns the status, and the
// body to be sent instead of the protocol's, "" for that.
func (x *Exchange) applyOverride(status int) (int, string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for name, value := range x.override.Header {
		x.Header().Set(name, value)
	}
	if x.override.Status != 0 {
		status = x.override.Status
	}
	if x.override.Body == "" || status == http.StatusNoContent {
		return status, ""
	}
	x.dropBody = true
	x.Header().Set("Content-Length", strconv.Itoa(len(x.override.Body)))
	return status, x.override.Body
}

// Write implements http.ResponseWriter.
func (x *Exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	if x.status >= 400 && x.refusal == "" {
		x.refusal = string(p[:min(len(p), 64)])
	}
	if x.dropBody {
		return len(p), nil
	}
	return x.send(p)
}

func (x *Exchange) send(p []byte) (int, error) {
	if x.idle > 0 {
		_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(x.idle))
	}
	n, err := x.w.Write(p)
	x.bytesOut += int64(n)
	x.meter.BytesOut(n)
	return n, err
}
