package hooks

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/holdfast-upload/holdfast/storage"
)

// RetryAfter is the number of seconds after which a client that was told to come
// back should, as the value of a Retry-After header, where nothing better is known:
// see Problem.RetryAfter.
const RetryAfter = "2"

// ErrNoAnswer: the app was asked, and did not give an answer that means anything.
var ErrHookUnavailable = errors.New("the app that has to agree does not answer")

// ErrMediaType: the body is not in a form that is taken here.
var ErrMediaType = errors.New("unsupported media type")

// Problem is what an error of the core means in HTTP.
type Problem struct {
	Status  int
	Code    string // one word, for programs
	Message string // for people; nothing of the server's inside
	// RetryAfter is the value of a Retry-After header, if Retry says so.
	RetryAfter string
}

// Retry tells whether the same request may succeed later.
func (p Problem) Retry() bool {
	switch p.Status {
	case http.StatusServiceUnavailable, http.StatusLocked, http.StatusInsufficientStorage, http.StatusTooManyRequests:
		return true
	}
	return false
}

// codeReplaced is the Code of a request whose client has sent a newer one.
const codeReplaced = "replaced"

var problems = []struct {
	err    error
	status int
	code   string
}{
	// What may pass first: its cause may be an error that comes further down.
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

// bodyEnds are the errors of a request whose body ended early. They are no failures of the
// server, although what answers them is a 5xx: the line of the request says enough.
var bodyEnds = []error{ErrShuttingDown, ErrIdleTimeout, ErrSuperseded, storage.ErrBodyAborted}

// Explain finds what err means. An error that nobody foresaw is a 500 that says
// nothing of its cause; Explain logs that, and the cause of every 5xx but those of
// bodyEnds.
func FromError(r *http.Request, log *slog.Logger, err error) Problem {
	var cause error
	found := Problem{http.StatusInternalServerError, "internalError", "something went wrong in the server", retryAfter(err)}
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
