package ietf

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// respond writes the response to a creation or an append that succeeded.
func (x *exchange) respond() {
	h := x.w.Header()
	if x.up.Finished {
		transport.SetReprDigest(h, x.r, x.up)
	}
	if !x.resumable || x.up.Finished {
		if x.resumable {
			x.setState(h)
		}
		x.finished(x.w, x.r, x.up)
		return
	}
	x.setState(h)
	h.Set("Cache-Control", "no-store")
	status := x.storedStatus
	if x.method != http.MethodPatch {
		status = http.StatusCreated
		h.Set("Location", x.location)
	}
	x.w.WriteHeader(status)
}

// setVersion repeats the version of the client.
func (x *exchange) setVersion(h http.Header) {
	if x.interop != 0 {
		h.Set(interopVersion, x.version())
	}
}

// setState sets the fields that describe the upload.
func (x *exchange) setState(h http.Header) {
	x.setVersion(h)
	h.Set(uploadOffset, strconv.FormatInt(x.up.Offset(), 10))
	h.Set(x.completeness(x.up.Finished))
	if x.up.Size != storage.Unknown {
		h.Set(uploadLength, strconv.FormatInt(x.up.Size, 10))
	}
	if limits := x.limits(); limits != "" {
		h.Set(uploadLimit, limits)
	}
}

// reject writes the response for an error, or breaks the connection: see breaks.
func (x *exchange) reject(err error) {
	var rejection *problem.Rejection
	if errors.As(err, &rejection) {
		x.rejectByApp(rejection)
		return
	}
	if x.gone == http.StatusNotFound && errors.Is(err, storage.ErrGone) {
		err = storage.ErrNotFound
	}
	p := protocol.FromError(x.r, x.opts.Log, err)
	if x.breaks(p) {
		panic(http.ErrAbortHandler)
	}
	x.body.DrainOrClose(x.w, x.r)
	h := x.w.Header()
	if p.Retry() {
		h.Set("Retry-After", p.RetryAfter)
		if p.Status != http.StatusTooManyRequests {
			p.Status = http.StatusServiceUnavailable
		}
	}
	x.describeRejection(h, p)
	text, _ := json.Marshal(x.details(p)) // strings and numbers never fail
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	x.w.WriteHeader(p.Status)
	_, _ = x.w.Write(append(text, '\n')) // a client that has disconnected retries
}

// breaks reports whether the client, which has been announced that it may resume, finds
// out about a temporary error from a broken connection: it resumes then, while URLSession
// takes any response for final.
func (x *exchange) breaks(p problem.Problem) bool {
	return x.announced && p.Retry() && p.Status != http.StatusTooManyRequests
}

// describeRejection sets the fields of the protocol in the response for an error.
func (x *exchange) describeRejection(h http.Header, p problem.Problem) {
	x.setVersion(h)
	if x.method != http.MethodPost && x.method != http.MethodPut && x.method != http.MethodPatch || !x.resumable {
		return
	}
	h.Set(x.completeness(x.isFinal(p)))
	if x.up.ID != "" {
		h.Set(uploadOffset, strconv.FormatInt(x.up.Offset(), 10))
	}
	if p.Status == http.StatusRequestEntityTooLarge {
		if limits := x.limits(); limits != "" {
			h.Set(uploadLimit, limits)
		}
	}
}

// isFinal reports whether a rejection is about the file, so that resuming is useless,
// and not about a request of the protocol, which the client may correct.
func (x *exchange) isFinal(p problem.Problem) bool {
	if x.discarded || p.Retry() {
		return x.discarded
	}
	switch p.Code {
	case "offsetConflict", "sizeConflict", "beyondEnd", "invalidRequest", "unsupportedMediaType", "digestMismatch":
		return false
	}
	return true
}

// details are a description of an error (RFC 9457).
type details struct {
	Type           string `json:"type,omitempty"`
	Title          string `json:"title"`
	Status         int    `json:"status"`
	Code           string `json:"code"`
	ExpectedOffset *int64 `json:"expected-offset,omitempty"`
	ProvidedOffset *int64 `json:"provided-offset,omitempty"`
}

// problemTypes are the types of problems that the draft registers, by the code of the error.
var problemTypes = map[string]string{
	"offsetConflict": "https://iana.org/assignments/http-problem-types#mismatching-upload-offset",
	"sizeConflict":   "https://iana.org/assignments/http-problem-types#inconsistent-upload-length",
}

func (x *exchange) details(p problem.Problem) details {
	out := details{Type: problemTypes[p.Code], Title: p.Message, Status: p.Status, Code: p.Code}
	if p.Code == "offsetConflict" {
		offset := x.up.Offset()
		out.ExpectedOffset, out.ProvidedOffset = &offset, &x.offset
	}
	return out
}

// rejectByApp writes the app's own response. It is final.
func (x *exchange) rejectByApp(rejection *problem.Rejection) {
	x.body.DrainOrClose(x.w, x.r)
	status, header, body := protocol.AppRejection(x.r, rejection)
	h := x.w.Header()
	x.describeRejection(h, problem.Problem{Status: status})
	h.Set("Cache-Control", "no-store")
	for name, value := range header {
		h.Set(name, value)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	_, _ = io.WriteString(x.w, body) // a client that has disconnected retries
}
