package ietf

import (
	"fmt"
	"math"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
)

// request is a parsed request, the same for all versions.
type request struct {
	rules
	id     string // "" for the collection
	method string

	resumable bool  // the client knows the protocol: it gets the fields of the upload
	complete  bool  // the content ends the file
	offset    int64 // of the content within the file; Unknown for an append without a valid one
	length    int64 // of the file, as the client gave it; or Unknown
	content   int64 // length of the content, or Unknown
}

// otherProtocols are fields of other protocols that give another meaning to the content.
// iOS adds the fields of this protocol to requests of any, so those win.
var otherProtocols = []string{"Tus-Resumable", "Content-Range", "X-Content-Range", "X-Goog-Upload-Command", "X-Goog-Upload-Offset"}

// Matches reports whether a request belongs to this protocol: it has
// Upload-Draft-Interop-Version, or a valid Upload-Complete or Upload-Incomplete, and no
// field of another protocol.
func Matches(h http.Header) bool {
	if slices.ContainsFunc(otherProtocols, func(field string) bool { return len(h.Values(field)) > 0 }) {
		return false
	}
	if len(h.Values(interopVersion)) > 0 {
		return true
	}
	_, declared, _ := completeness(latest, h)
	return declared
}

// completeness returns whether the content ends the file, and whether the client has
// declared that, in the field of its version or, for lack of a valid one, in that of
// the others. It also returns the rules with the field that the client uses.
func completeness(v rules, h http.Header) (complete, declared bool, _ rules) {
	complete, isComplete := parseBoolean(h.Values(uploadComplete))
	incomplete, isIncomplete := parseBoolean(h.Values(uploadIncomplete))
	switch {
	case isIncomplete && (v.incomplete || !isComplete):
		v.incomplete = true
		return !incomplete, true, v
	case isComplete:
		v.incomplete = false
		return complete, true, v
	}
	return true, false, v
}

// parse parses a request. It fails if the request is malformed, whatever upload it is for.
func parse(r *http.Request, id string) (request, error) {
	q := request{rules: rulesOf(r.Header.Values(interopVersion)), id: id, method: r.Method, offset: storage.Unknown, length: storage.Unknown, content: r.ContentLength}
	var declared bool
	q.complete, declared, q.rules = completeness(q.rules, r.Header)
	q.resumable = true // unless found otherwise below
	if n, ok := integer(r.Header.Values(uploadOffset)); ok {
		q.offset = n
	}
	if n, ok := integer(r.Header.Values(uploadLength)); ok {
		q.length = n
	}
	switch r.Method {
	case http.MethodHead, http.MethodGet, http.MethodDelete:
		return q, q.checkBare(declared)
	case http.MethodPatch:
		return q, q.checkAppend(r.Header, declared)
	}
	// Without a valid completeness it is an ordinary request, whose content is the file.
	q.resumable = declared
	return q, q.checkCreation(r.Header)
}

// checkBare checks a request without content.
func (q request) checkBare(declared bool) error {
	if q.strictBare && (declared || q.offset != storage.Unknown) {
		return fmt.Errorf("%w: %s together with %s or %s", storage.ErrBadRequest, q.method, uploadOffset, uploadComplete)
	}
	return nil
}

const partialUpload = "application/partial-upload"

func (q request) checkAppend(h http.Header, declared bool) error {
	field, _ := q.completeness(true)
	switch {
	case q.offset == storage.Unknown:
		return fmt.Errorf("%w: a PATCH needs %s, a non-negative integer", storage.ErrBadRequest, uploadOffset)
	case q.needsComplete && !declared:
		return fmt.Errorf("%w: a PATCH needs %s, ?0 or ?1", storage.ErrBadRequest, field)
	case q.partialType && mediaType(h) != partialUpload:
		return fmt.Errorf("%w: a PATCH needs Content-Type: %s", problem.ErrMediaType, partialUpload)
	}
	return q.check(h)
}

func (q *request) checkCreation(h http.Header) error {
	if q.offset > 0 {
		return fmt.Errorf("%w: %s: a creation begins at 0, and a PATCH continues", storage.ErrBadRequest, uploadOffset)
	}
	q.offset = 0
	if typ := mediaType(h); strings.HasPrefix(typ, "multipart/") {
		return fmt.Errorf("%w: %s wraps the file: send its bytes alone as the content", problem.ErrMediaType, typ)
	}
	return q.check(h)
}

// check checks what creations and appends share.
func (q request) check(h http.Header) error {
	if e := h.Get("Content-Encoding"); e != "" && e != "identity" {
		return fmt.Errorf("%w: send the bytes as they are, without Content-Encoding", problem.ErrMediaType)
	}
	if q.content > math.MaxInt64-q.offset {
		return fmt.Errorf("%w: offset %d and %d bytes", storage.ErrBadRequest, q.offset, q.content)
	}
	if end := q.end(); q.complete && end != storage.Unknown && q.length != storage.Unknown && end != q.length {
		return fmt.Errorf("%w: %s says %d bytes, the content ends at %d", storage.ErrSizeMismatch, uploadLength, q.length, end)
	}
	return nil
}

// end returns the offset at which the content ends, Unknown if its length is not known.
func (q request) end() int64 {
	if q.content < 0 {
		return storage.Unknown
	}
	return q.offset + q.content
}

// size returns the size of the file as far as the request declares it: by its length, or
// because its content ends the file.
func (q request) size() int64 {
	if q.length == storage.Unknown && q.complete {
		return q.end()
	}
	return q.length
}

// mediaType returns the media type of the content, "" if there is no valid one.
func mediaType(h http.Header) string {
	typ, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return typ
}
