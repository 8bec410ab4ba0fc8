package protocol

import (
	"log/slog"
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks/problem"
)

// FromError returns the Problem for err, and records its code for the access log. It logs
// the cause of a failure of the server, which the response does not reveal.
func FromError(r *http.Request, log *slog.Logger, err error) problem.Problem {
	p := problem.From(err)
	ExchangeOf(r.Context()).setErrorCode(p.Code)
	if p.Failure {
		log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "status", p.Status, "error", err)
	}
	return p
}

// AppRejection returns the response to a request that the app rejected, and records
// it for the access log.
func AppRejection(r *http.Request, rejection *problem.Rejection) (status int, header map[string]string, body string) {
	ExchangeOf(r.Context()).setErrorCode("refusedByApp")
	return rejection.Response()
}
