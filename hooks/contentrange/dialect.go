package contentrange

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
)

// checkCoding rejects a body that is not the plain bytes of the file.
func checkCoding(h http.Header) error {
	if e := h.Get("Content-Encoding"); e != "" && e != "identity" {
		return fmt.Errorf("%w: send the bytes as they are, without Content-Encoding", problem.ErrMediaType)
	}
	switch typ := mediaType(h); typ {
	case form:
		return rejectForm("")
	case "multipart/byteranges":
		return fmt.Errorf("%w: %s holds several ranges: send each in a request of its own, with Content-Range", problem.ErrMediaType, typ)
	}
	return nil
}

// mediaType returns the type in Content-Type, in lower case and without its parameters,
// however malformed these are.
func mediaType(h http.Header) string {
	typ, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(typ))
}

// partialBodyHeaders are the header fields of other protocols that mark the body of a PUT
// without Content-Range as a part of a file. If marks is nil, any value does.
var partialBodyHeaders = []struct {
	field, protocol string
	marks           func(value string) bool
}{
	{"X-Content-Range", "the nginx upload module (see " + recipes + ")", nil},
	{"Upload-Complete", "resumable uploads (IETF draft)", is("?0")},
	{"Upload-Incomplete", "resumable uploads (IETF draft)", is("?1")},
	{"Upload-Offset", "tus and of resumable uploads (IETF draft), which send it by PATCH", nil},
	{"Tus-Resumable", "tus, which sends files by POST and PATCH", nil},
	{"X-Goog-Upload-Command", "Google's uploads", nil},
	{"X-Goog-Upload-Offset", "Google's uploads", nil},
}

// checkSession rejects a chunk in the form of the nginx upload module, a POST whose file is
// named by a header field. Its clients take 201 for "go on" and any other success for the end
// of the file: they would stop after the first chunk.
func checkSession(r *http.Request) error {
	for _, field := range []string{"Session-ID", "X-Session-ID"} {
		if r.Method == http.MethodPost && r.Header.Get(field) != "" {
			return fmt.Errorf("%w: a POST with %s and a range is one of the nginx upload module: send chunks by PUT, to a URL for each file; see %s",
				storage.ErrBadRequest, field, recipes)
		}
	}
	return nil
}

// is returns a function that matches a Boolean of RFC 8941, with or without parameters.
func is(boolean string) func(string) bool {
	return func(value string) bool {
		value, _, _ = strings.Cut(value, ";")
		return strings.TrimSpace(value) == boolean
	}
}

// checkWhole rejects a PUT without Content-Range whose body is not the whole file: storing
// it as the file would lose the rest. Whole files from iOS have "Upload-Complete: ?1" and
// their Upload-Length, which are accepted.
func checkWhole(r *http.Request) error {
	for _, d := range partialBodyHeaders {
		values := r.Header.Values(d.field)
		if d.marks != nil && !slices.ContainsFunc(values, d.marks) || len(values) == 0 {
			continue
		}
		return fmt.Errorf("%w: %s: %.100s is a header field of %s: leave it out to send a whole file, "+
			"or send a part of one with Content-Range", storage.ErrBadRequest, d.field, values[0], d.protocol)
	}
	length, err := strconv.ParseInt(r.Header.Get("Upload-Length"), 10, 64)
	if err == nil && r.ContentLength >= 0 && length != r.ContentLength {
		return fmt.Errorf("%w: Upload-Length says %d bytes, and the body has %d: a part of a file needs a Content-Range",
			storage.ErrBadRequest, length, r.ContentLength)
	}
	return nil
}
