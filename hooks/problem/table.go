package problem

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/holdfast-upload/holdfast/storage"
)

// Codes that other packages use.
const (
	// CodeSuperseded is the Code of a request that was superseded by a newer one.
	CodeSuperseded = "replaced"
	// CodeOrigin is the Code of a request by a web page whose origin is not allowed.
	CodeOrigin = "originNotAllowed"
	// CodeRejected is the Code of a request that the app rejected; see Rejection.
	CodeRejected = "refusedByApp"
)

// row is what a client gets for an error, unless the column of its protocol differs.
type row struct {
	err    error
	status int
	code   string
	// level is that of the log. Above INFO, the server or what it depends on has failed,
	// and the cause is logged too.
	level slog.Level
}

const (
	info   = slog.LevelInfo
	warn   = slog.LevelWarn
	failed = slog.LevelError
)

// table has a row for each error that a request may fail with. The first that matches
// applies: an error may wrap another.
var table = []row{
	// Temporary errors come first: they may wrap an error further down.
	{ErrHookUnavailable, http.StatusServiceUnavailable, "appNotAvailable", warn},
	{ErrAuthUnavailable, http.StatusServiceUnavailable, "serviceNotAvailable", warn},
	{ErrRateLimited, http.StatusTooManyRequests, "tooManyRequests", info},
	{storage.ErrLocked, http.StatusLocked, "locked", info},
	{storage.ErrNoSpace, http.StatusInsufficientStorage, "insufficientStorage", failed},
	{storage.ErrUnavailable, http.StatusServiceUnavailable, "serviceNotAvailable", failed},
	// The client is at fault.
	{ErrChecksum, http.StatusBadRequest, "digestMismatch", info},
	{ErrDigest, http.StatusBadRequest, "digestMismatch", info},
	{storage.ErrChecksum, http.StatusBadRequest, "digestMismatch", info},
	{storage.ErrBadID, http.StatusBadRequest, "invalidId", info},
	{storage.ErrBadRequest, http.StatusBadRequest, "invalidRequest", info},
	{storage.ErrMetadataTooLarge, http.StatusRequestHeaderFieldsTooLarge, "metadataTooLarge", info},
	{ErrMediaType, http.StatusUnsupportedMediaType, "unsupportedMediaType", info},
	{ErrMethod, http.StatusMethodNotAllowed, "methodNotAllowed", info},
	{storage.ErrSizeMismatch, http.StatusBadRequest, "sizeConflict", info},
	{storage.ErrOutOfRange, http.StatusBadRequest, "beyondEnd", info},
	{storage.ErrTooManyRanges, http.StatusBadRequest, "tooManyGaps", info},
	{storage.ErrNotFound, http.StatusNotFound, "itemNotFound", info},
	{storage.ErrExists, http.StatusConflict, "nameAlreadyExists", info},
	{storage.ErrKeyTaken, http.StatusConflict, "nameAlreadyExists", info},
	{storage.ErrContentConflict, http.StatusConflict, "contentConflict", info},
	{ErrOffset, http.StatusConflict, "offsetConflict", info},
	{storage.ErrIncomplete, http.StatusConflict, "incomplete", info},
	{storage.ErrGone, http.StatusGone, "gone", info},
	{storage.ErrTooLarge, http.StatusRequestEntityTooLarge, "tooLarge", info},
	{ErrUnauthenticated, http.StatusUnauthorized, "unauthenticated", info},
	{storage.ErrForbidden, http.StatusForbidden, "accessDenied", info},
	{ErrOrigin, http.StatusForbidden, CodeOrigin, info},
	// The body ended early. Although the status is 5xx, the server has not failed.
	{ErrShuttingDown, http.StatusServiceUnavailable, "shuttingDown", info},
	{ErrIdleTimeout, http.StatusServiceUnavailable, "timeout", info},
	{ErrSuperseded, http.StatusServiceUnavailable, CodeSuperseded, info},
	{storage.ErrBodyAborted, http.StatusServiceUnavailable, "bodyBrokeOff", info},
}

// unexpected is the row of all other errors.
var unexpected = row{errors.New("internal server error"), http.StatusInternalServerError, "internalError", failed}

// Errors returns the errors that the table has rows for.
func Errors() []error {
	var all []error
	for _, r := range table {
		all = append(all, r.err)
	}
	return all
}
