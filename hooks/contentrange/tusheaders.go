package contentrange

import (
	"net/http"
	"strconv"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

// maxUnasked is the maximum length of a header with metadata in the response to a request
// that is not of a tus client, in bytes: proxies have little room for headers.
const maxUnasked = 2 << 10

// setTusHeaders sets the headers with which tus answers HEAD (tus 1.0, section HEAD): a
// cache may turn that into GET, and return the headers to the client.
func setTusHeaders(h http.Header, r *http.Request, urls protocol.URLs, up storage.Upload) {
	h.Set("Tus-Resumable", "1.0.0")
	h.Set("Upload-Offset", strconv.FormatInt(up.Offset(), 10))
	if up.Size != storage.Unknown {
		h.Set("Upload-Length", strconv.FormatInt(up.Size, 10))
	} else {
		h.Set("Upload-Defer-Length", "1")
	}
	h.Add("Vary", "Tus-Resumable")
	set := func(name, value string) {
		if value != "" && (hasTusHeaders(r) || len(value) <= maxUnasked) {
			h.Set(name, value)
		}
	}
	set("Upload-Metadata", up.Metadata.Header())
	set("Upload-Concat", urls.Concatenation(r, up))
}
