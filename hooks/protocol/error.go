package protocol

import (
	"io"
	"log/slog"
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// FromError returns the Problem for err in the column of the request's protocol, and records
// its code for the access log. It logs the cause of a failure of the server, which the
// response does not reveal.
func FromError(r *http.Request, log *slog.Logger, err error) problem.Problem {
	x := ExchangeOf(r.Context())
	protocol, method := x.Protocol(), r.Method
	if method == http.MethodGet && r.Header.Get("Tus-Resumable") != "" {
		protocol, method = "tus", http.MethodHead // of a tus client, through a cache
	}
	p := problem.From(protocol, method, err)
	x.setError(p.Code, p.Level)
	if p.Failure {
		log.Log(r.Context(), p.Level, "request failed", "method", r.Method, "path", r.URL.Path, "status", p.Status, "error_code", p.Code, "error", err)
	}
	return p
}

// AppRejection returns the response to a request that the app rejected, and records
// it for the access log.
func AppRejection(r *http.Request, rejection *problem.Rejection) (status int, header map[string]string, body string) {
	ExchangeOf(r.Context()).setError(problem.CodeRejected, slog.LevelInfo)
	return rejection.Response()
}

// refuse responds to a request that a guard rejects, without reading its body.
func (x *Exchange) refuse(err error) {
	p := FromError(x.r, x.router.Log, err)
	h := x.Header()
	if x.r.Header.Get("Tus-Resumable") != "" {
		h.Set("Tus-Resumable", "1.0.0")
	}
	if p.Retry() {
		h.Set("Retry-After", p.RetryAfter)
	}
	if x.Body.Err() != io.EOF { // or all of it was read
		transport.RejectBody(x, x.r)
	}
	contentType, body := p.Body()
	writeBody(x, p.Status, contentType, body)
}

// setError records the code of the problem with which the request failed, and the level of
// its line in the access log.
func (x *Exchange) setError(code string, level slog.Level) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.errorCode, x.level = code, level
}

// completeError adds the code of a response that no error of the table has caused, and drops
// that of an error after which the request has succeeded. The caller holds x.mu.
func (x *Exchange) completeError() {
	switch refused := x.status >= 400; {
	case refused && x.errorCode == "" && x.Body.Aborted():
		x.errorCode = problem.From("", "", storage.ErrBodyAborted).Code
	case refused && x.errorCode == "":
		x.errorCode = problem.CodeOfResponse(x.status, x.refusal)
	case !refused && x.status != 0 && x.errorCode != problem.CodeOrigin:
		x.errorCode, x.level = "", slog.LevelInfo
	}
}
