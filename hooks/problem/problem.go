// Package problem gives each error its HTTP response: status, code, message and Retry-After.
package problem

import (
	"errors"
	"net/http"
	"slices"

	"github.com/holdfast-upload/holdfast/storage"
)

// RetryAfter is the default value of a Retry-After header, in seconds; see
// Problem.RetryAfter.
const RetryAfter = "2"

// Problem describes an error as an HTTP response.
type Problem struct {
	Status  int
	Code    string // one word, for programs
	Message string // for people; reveals no internals of the server
	// RetryAfter is the value of a Retry-After header, if Retry returns true.
	RetryAfter string
	// Failure reports whether the server failed, whose cause must be logged.
	Failure bool
}

// Retry reports whether the same request may succeed later.
func (p Problem) Retry() bool {
	switch p.Status {
	case http.StatusServiceUnavailable, http.StatusLocked, http.StatusInsufficientStorage, http.StatusTooManyRequests:
		return true
	}
	return false
}

const (
	// CodeSuperseded is the Code of a request that was superseded by a newer one.
	CodeSuperseded = "replaced"
	// CodeInternal is the Code of an unexpected error.
	CodeInternal = "internalError"
)

var problems = []struct {
	err    error
	status int
	code   string
}{
	// Temporary errors come first: they may wrap an error further down.
	{ErrHookUnavailable, http.StatusServiceUnavailable, "appNotAvailable"},
	{ErrRateLimited, http.StatusTooManyRequests, "tooManyRequests"},
	{storage.ErrLocked, http.StatusLocked, "locked"},
	{storage.ErrNoSpace, http.StatusInsufficientStorage, "insufficientStorage"},
	{storage.ErrUnavailable, http.StatusServiceUnavailable, "serviceNotAvailable"},
	{ErrDigest, http.StatusBadRequest, "digestMismatch"},
	{storage.ErrChecksum, http.StatusBadRequest, "digestMismatch"},
	{storage.ErrBadID, http.StatusBadRequest, "invalidId"},
	{storage.ErrBadRequest, http.StatusBadRequest, "invalidRequest"},
	{storage.ErrMetadataTooLarge, http.StatusRequestHeaderFieldsTooLarge, "metadataTooLarge"},
	{ErrMediaType, http.StatusUnsupportedMediaType, "unsupportedMediaType"},
	{storage.ErrSizeMismatch, http.StatusBadRequest, "sizeConflict"},
	{storage.ErrOutOfRange, http.StatusBadRequest, "beyondEnd"},
	{storage.ErrTooManyRanges, http.StatusBadRequest, "tooManyGaps"},
	{storage.ErrNotFound, http.StatusNotFound, "itemNotFound"},
	{storage.ErrExists, http.StatusConflict, "nameAlreadyExists"},
	{storage.ErrKeyTaken, http.StatusConflict, "nameAlreadyExists"},
	{storage.ErrContentConflict, http.StatusConflict, "contentConflict"},
	{ErrOffset, http.StatusConflict, "offsetConflict"},
	{storage.ErrIncomplete, http.StatusConflict, "incomplete"},
	{storage.ErrGone, http.StatusGone, "gone"},
	{storage.ErrTooLarge, http.StatusRequestEntityTooLarge, "tooLarge"},
	{ErrUnauthenticated, http.StatusUnauthorized, "unauthenticated"},
	{storage.ErrForbidden, http.StatusForbidden, "accessDenied"},
	{ErrShuttingDown, http.StatusServiceUnavailable, "shuttingDown"},
	{ErrIdleTimeout, http.StatusServiceUnavailable, "timeout"},
	{ErrSuperseded, http.StatusServiceUnavailable, CodeSuperseded},
	{storage.ErrBodyAborted, http.StatusServiceUnavailable, "bodyBrokeOff"},
}

// bodyEnds lists the errors of bodies that ended early. Although their status is 5xx they
// are not failures of the server, and the access log is enough.
var bodyEnds = []error{ErrShuttingDown, ErrIdleTimeout, ErrSuperseded, storage.ErrBodyAborted}

// From returns the Problem for err. An unexpected error becomes a 500 that does not reveal
// its cause.
func From(err error) Problem {
	for _, p := range problems {
		if !errors.Is(err, p.err) {
			continue
		}
		found := Problem{p.status, p.code, err.Error(), retryAfter(err), false}
		if p.status >= 500 || p.status == http.StatusLocked {
			found.Message = p.err.Error()
		}
		found.Failure = p.status >= 500 && !slices.Contains(bodyEnds, p.err)
		return found
	}
	return Problem{http.StatusInternalServerError, CodeInternal, "internal server error", retryAfter(err), true}
}
