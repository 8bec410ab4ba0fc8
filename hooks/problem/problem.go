// Package problem gives each error its HTTP response. What a client gets for an error is
// said in one table, with a column for each protocol that differs.
//
// To add a protocol, add a column to columns.go if its responses differ from the table. To add an error, add its row to
// table.go; a test fails while a row is missing.
package problem

import (
	"errors"
	"log/slog"
	"net/http"
)

// RetryAfter is the default value of a Retry-After header, in seconds; see
// Problem.RetryAfter.
const RetryAfter = "2"

// Problem describes an error as an HTTP response.
type Problem struct {
	Status  int
	Code    string // one word, for programs, logs and metrics
	Message string // for people; reveals no internals of the server
	// RetryAfter is the value of a Retry-After header, if Retry returns true.
	RetryAfter string
	// Level is the level of the log lines about it.
	Level slog.Level
	// Failure reports whether the server failed, whose cause must be logged.
	Failure bool

	column column
}

// Retry reports whether the same request may succeed later.
func (p Problem) Retry() bool {
	switch p.Status {
	case http.StatusServiceUnavailable, http.StatusLocked, http.StatusInsufficientStorage, http.StatusTooManyRequests:
		return true
	}
	return false
}

// From returns the Problem for err in the response to a request by a protocol, "" for a
// request that belongs to none. An unexpected error becomes a 500 that does not reveal its
// cause.
func From(protocol, method string, err error) Problem {
	r := find(err)
	p := Problem{r.status, r.code, err.Error(), retryAfter(err), r.level, r.level > slog.LevelInfo, columns[protocol]}
	if r.status >= 500 || r.status == http.StatusLocked {
		p.Message = r.err.Error()
	}
	if p.column.status != nil {
		p.Status = p.column.status(method, r.err, p)
	}
	return p
}

func find(err error) row {
	for _, r := range table {
		if errors.Is(err, r.err) {
			return r
		}
	}
	return unexpected
}

// Body returns the body of the response, and its Content-Type.
func (p Problem) Body() (contentType string, body []byte) {
	if p.column.body == nil {
		return jsonBody(p)
	}
	return p.column.body(p)
}
