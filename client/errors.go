package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

var (
	// ErrGaveUp means that nothing was stored for Options.GiveUpAfter. The error wraps the
	// last failure. The same Upload, called again, continues.
	ErrGaveUp = errors.New("gave up")
	// ErrChecksum means that the file on the server is not the one that was sent.
	ErrChecksum = errors.New("the file on the server differs from this one")
	// ErrChanged means that the file changed while it was uploaded.
	ErrChanged = errors.New("the file changed during the upload")
	// ErrProtocol means that the server speaks no upload protocol that this package knows.
	ErrProtocol = errors.New("no upload protocol")
)

// StatusError is a response that is no success.
type StatusError struct {
	Method  string
	URL     string // without its query, which may hold a ticket
	Status  int    // of HTTP
	Code    string // of the JSON error of a holdfast server, "" if there is none
	Message string // the server's words
	// RetryAfter is how long the server asks to wait, 0 if it does not say.
	RetryAfter time.Duration
}

// reasons explains statuses for which the server may have found no words of its own.
var reasons = map[int]string{
	http.StatusUnauthorized:          "a token is required, or the one sent is not valid any more",
	http.StatusForbidden:             "this token or ticket does not allow it",
	http.StatusNotFound:              "there is no such upload, or it belongs to someone else",
	http.StatusMethodNotAllowed:      "this URL takes no uploads",
	http.StatusConflict:              "another file was uploaded to this URL",
	http.StatusGone:                  "the upload was deleted or has expired",
	http.StatusRequestEntityTooLarge: "the file is larger than the server allows",
	http.StatusUnsupportedMediaType:  "the server does not take files of this type",
	http.StatusTooManyRequests:       "a limit is reached",
}

// Error implements error.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s %s: %d %s", e.Method, e.URL, e.Status, http.StatusText(e.Status))
	if reason := reasons[e.Status]; reason != "" {
		text += ": " + reason
	}
	if e.Message != "" {
		text += " (" + e.Message + ")"
	}
	return text
}

// Temporary reports whether the same request may succeed later.
func (e *StatusError) Temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests, statusChecksumMismatch:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return e.Status >= 500 || e.Code == "digestMismatch"
}

// ofProxy reports whether a 413 is about the length of a request, as proxies send it, rather
// than that of the file.
func (e *StatusError) ofProxy() bool {
	return e.Status == http.StatusRequestEntityTooLarge && e.Code == ""
}

// statusChecksumMismatch is "460 Checksum Mismatch" of the tus protocol.
const statusChecksumMismatch = 460

// newStatusError reads the rest of a response that is no success.
func newStatusError(resp *http.Response) *StatusError {
	bare := *resp.Request.URL
	bare.RawQuery = ""
	e := &StatusError{Method: resp.Request.Method, URL: bare.Redacted(), Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now())}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<10)) // for the message alone
	var body struct {
		Error struct{ Code, Message string }
	}
	if json.Unmarshal(text, &body) == nil && body.Error.Code != "" {
		e.Code, e.Message = body.Error.Code, body.Error.Message
		return e
	}
	if !strings.Contains(resp.Header.Get("Content-Type"), "html") {
		e.Message, _, _ = strings.Cut(strings.TrimSpace(string(text)), "\n")
		e.Message = e.Message[:min(len(e.Message), 300)]
	}
	return e
}

// maxRetryAfter is the longest Retry-After that is heeded.
const maxRetryAfter = time.Hour

// retryAfter parses Retry-After (RFC 9110, section 10.2.3): seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return max(0, time.Duration(min(seconds, int64(maxRetryAfter/time.Second)))*time.Second)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
