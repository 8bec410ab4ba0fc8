package hooks

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/holdfast-upload/holdfast/storage"
)

// RetryAfter is the default value of a Retry-After header, in seconds; see
// Problem.RetryAfter.
const RetryAfter = "2"

// ErrHookUnavailable means that the app did not give a valid response to a hook.
var ErrHookUnavailable = errors.New("the app did not answer a hook")

// ErrMediaType means that the Content-Type of the body is not supported.
var ErrMediaType = errors.New("unsupported media type")

// Problem describes an error as an HTTP response.
type Problem struct {
	Status  int
	Code    string // one word, for programs
	Message string // for people; reveals no internals of the server
	// RetryAfter is the value of a Retry-After header, if Retry returns true.
	RetryAfter string
}

// Retry reports whether the same request may succeed later.
func (p Problem) Retry() bool {
	switch p.Status {
	case http.StatusServiceUnavailable, http.StatusLocked, http.StatusInsufficientStorage, http.StatusTooManyRequests:
		return true
	}
	return false
}

// codeReplaced is the Code of a request that was superseded by a newer one.
const codeReplaced = "replaced"

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
	{storage.ErrBadID, http.StatusBadRequest, "invalidId"},
	{storage.ErrBadRequest, http.StatusBadRequest, "invalidRequest"},
	{ErrMediaType, http.StatusUnsupportedMediaType, "unsupportedMediaType"},
	{storage.ErrSizeMismatch, http.StatusBadRequest, "sizeConflict"},
	{storage.ErrOutOfRange, http.StatusBadRequest, "beyondEnd"},
	{storage.ErrTooManyRanges, http.StatusBadRequest, "tooManyGaps"},
	{storage.ErrNotFound, http.StatusNotFound, "itemNotFound"},
	{storage.ErrExists, http.StatusConflict, "nameAlreadyExists"},
	{storage.ErrKeyTaken, http.StatusConflict, "nameAlreadyExists"},
	{storage.ErrContentConflict, http.StatusConflict, "contentConflict"},
	{storage.ErrIncomplete, http.StatusConflict, "incomplete"},
	{storage.ErrGone, http.StatusGone, "gone"},
	{storage.ErrTooLarge, http.StatusRequestEntityTooLarge, "tooLarge"},
	{ErrUnauthenticated, http.StatusUnauthorized, "unauthenticated"},
	{storage.ErrForbidden, http.StatusForbidden, "accessDenied"},
	{ErrShuttingDown, http.StatusServiceUnavailable, "shuttingDown"},
	{ErrIdleTimeout, http.StatusServiceUnavailable, "timeout"},
	{ErrSuperseded, http.StatusServiceUnavailable, codeReplaced},
	{storage.ErrBodyAborted, http.StatusServiceUnavailable, "bodyBrokeOff"},
}

// bodyEnds lists the errors of bodies that ended early. Although their status is 5xx they
// are not failures of the server, and the access log is enough.
var bodyEnds = []error{ErrShuttingDown, ErrIdleTimeout, ErrSuperseded, storage.ErrBodyAborted}

// FromError returns the Problem for err. An unexpected error becomes a 500 that does not
// reveal its cause. FromError logs the cause of every 5xx other than bodyEnds.
func FromError(r *http.Request, log *slog.Logger, err error) Problem {
	var cause error
	found := Problem{http.StatusInternalServerError, "internalError", "internal server error", retryAfter(err)}
	for _, p := range problems {
		if !errors.Is(err, p.err) {
			continue
		}
		cause, found.Status, found.Code, found.Message = p.err, p.status, p.code, err.Error()
		if p.status >= 500 || p.status == http.StatusLocked {
			found.Message = p.err.Error()
		}
		break
	}
	RequestLogFrom(r.Context()).setErrorCode(found.Code)
	if found.Status >= 500 && !slices.Contains(bodyEnds, cause) {
		log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "status", found.Status, "error", err)
	}
	return found
}
