package problem

import (
	"net/http"
	"strings"
)

// tusdCodes are the codes of the refusals of tusd, whose responses begin with its own codes.
// Their statuses are tusd's.
var tusdCodes = map[string]string{
	"ERR_UNSUPPORTED_VERSION":         "unsupportedVersion",
	"ERR_MAX_SIZE_EXCEEDED":           "tooLarge",
	"ERR_INVALID_CONTENT_TYPE":        "unsupportedMediaType",
	"ERR_CONTENT_ENCODING":            "unsupportedMediaType",
	"ERR_INVALID_UPLOAD_LENGTH":       "invalidRequest",
	"ERR_INVALID_OFFSET":              "invalidRequest",
	"ERR_UPLOAD_NOT_FOUND":            "itemNotFound",
	"ERR_UPLOAD_LOCKED":               "locked",
	"ERR_LOCK_TIMEOUT":                "locked",
	"ERR_MISMATCHED_OFFSET":           "offsetConflict",
	"ERR_UPLOAD_SIZE_EXCEEDED":        "beyondEnd",
	"ERR_NOT_IMPLEMENTED":             "notImplemented",
	"ERR_UPLOAD_NOT_FINISHED":         "incomplete",
	"ERR_INVALID_CONCAT":              "invalidRequest",
	"ERR_CONCATENATION_UNSUPPORTED":   "invalidRequest",
	"ERR_MODIFY_FINAL":                "accessDenied",
	"ERR_AMBIGUOUS_UPLOAD_LENGTH":     "invalidRequest",
	"ERR_INVALID_UPLOAD_LENGTH_DEFER": "invalidRequest",
	"ERR_UPLOAD_STOPPED":              CodeRejected,
	"ERR_UPLOAD_REJECTED":             CodeRejected,
	"ERR_UPLOAD_TERMINATION_REJECTED": CodeRejected,
	"ERR_UPLOAD_INTERRUPTED":          CodeSuperseded,
	"ERR_SERVER_SHUTDOWN":             "shuttingDown",
	"ERR_ORIGIN_NOT_ALLOWED":          CodeOrigin,
	"ERR_UNEXPECTED_EOF":              "bodyBrokeOff",
	"ERR_READ_TIMEOUT":                "timeout",
	"ERR_CONNECTION_RESET":            "bodyBrokeOff",
	"ERR_CHECKSUM_MISMATCH":           "digestMismatch",
	"ERR_INTERNAL_SERVER_ERROR":       "internalError",
}

// statusCodes are the codes of refusals that say no more than their status.
var statusCodes = map[int]string{
	http.StatusBadRequest:                   "invalidRequest",
	http.StatusUnauthorized:                 "unauthenticated",
	http.StatusForbidden:                    "accessDenied",
	http.StatusNotFound:                     "itemNotFound",
	http.StatusMethodNotAllowed:             "methodNotAllowed",
	http.StatusConflict:                     "conflict",
	http.StatusGone:                         "gone",
	http.StatusPreconditionFailed:           "preconditionFailed",
	http.StatusRequestEntityTooLarge:        "tooLarge",
	http.StatusUnsupportedMediaType:         "unsupportedMediaType",
	http.StatusRequestedRangeNotSatisfiable: "rangeNotSatisfiable",
	http.StatusLocked:                       "locked",
	http.StatusInternalServerError:          "internalError",
	http.StatusNotImplemented:               "notImplemented",
	http.StatusServiceUnavailable:           "serviceNotAvailable",
}

// CodeOfResponse returns the code of a refusal that no error of the table has caused: by
// tusd or by net/http. body is the beginning of the response's.
func CodeOfResponse(status int, body string) string {
	word, _, _ := strings.Cut(body, ":")
	if code, ok := tusdCodes[word]; ok {
		return code
	}
	if code, ok := statusCodes[status]; ok {
		return code
	}
	return "other"
}

// KnowsTusd reports whether a code of tusd has one of ours.
func KnowsTusd(code string) bool { return tusdCodes[code] != "" }
