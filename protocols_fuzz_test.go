package holdfast

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/google"
	"github.com/holdfast-upload/holdfast/hooks/graph"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
)

// decisive are the header fields by which protocols are distinguished.
var decisive = []string{"Tus-Resumable", "Content-Range", "X-Content-Range", "X-Goog-Upload-Command", "X-Goog-Upload-Offset",
	"Upload-Draft-Interop-Version", "Upload-Complete", "Upload-Incomplete", "Content-Type", "Upload-Name"}

// The protocol of a request of any client, known or not, depends on its method, its URL and
// the decisive fields alone. Protocols that are turned off change nothing for the others.
func FuzzAnyRequestBelongsToOneProtocol(f *testing.F) {
	all := allProtocols(f)
	others := slices.DeleteFunc(slices.Clone(all), func(p protocol.Protocol) bool { return p.Name() == "google" || p.Name() == "graph" })
	f.Add("POST", "/upload/storage/v1/b/bk/o", "uploadType=media", "Content-Range", "bytes 0-4/10")
	f.Add("PUT", "/files/it", "uploadType=resumable", "Upload-Complete", "?1")
	f.Add("DELETE", "/files/it", "uploadType=resumable&uploadType=media", "Tus-Resumable", "1.0.0")
	f.Add("POST", "/v1.0/me/drive/root:/a:/createUploadSession", "", "Upload-Draft-Interop-Version", "6")
	f.Add("POST", "/files/", "resumableChunkNumber=1", "Content-Type", "multipart/form-data; boundary=b")
	f.Add("PUT", "/files/it", "state", "X-Goog-Upload-Command", "upload, finalize")
	f.Add("GET", "/storage/v1/b/holdfast/o/it", "alt=media", "X-Session-ID", "7")
	f.Add("PROPFIND", "*", "%zz", "Depth", "1")
	f.Fuzz(func(t *testing.T, method, path, query, field, value string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method, r.URL = method, &url.URL{Path: path, RawQuery: query}
		before := nameOf(protocol.Match(all, r))
		r.Header[http.CanonicalHeaderKey(field)] = []string{value}
		got := nameOf(protocol.Match(all, r))
		if again := nameOf(protocol.Match(all, r)); again != got {
			t.Errorf("%q, and then %q", got, again)
		}
		if got != before && !slices.Contains(decisive, http.CanonicalHeaderKey(field)) {
			t.Errorf("%s makes %q of %q", field, got, before)
		}
		session := strings.HasPrefix(path, "/files/") && r.URL.Query().Get("uploadType") == "resumable"
		switch got {
		case "google":
			if !google.ServesPath(path) && !session {
				t.Errorf("%s %s?%s is one of Google's", method, path, query)
			}
		case "graph":
			if !graph.ServesPath(path) || method != http.MethodPost {
				t.Errorf("%s %s is one of Microsoft's", method, path)
			}
		default:
			if without := nameOf(protocol.Match(others, r)); without != got {
				t.Errorf("%s %s: %q without Google's and Microsoft's, and %q with them", method, path, without, got)
			}
		}
	})
}

// nameOf returns the name of a protocol, "" if there is none.
func nameOf(p protocol.Protocol) string {
	if p == nil {
		return ""
	}
	return p.Name()
}

// What clients of no protocol send by default belongs to one nevertheless, always to the same.
func TestUnknownClientsBelongToAProtocol(t *testing.T) {
	protocols := allProtocols(t)
	const form, octets = "Content-Type: multipart/form-data; boundary=b", "Content-Type: application/octet-stream"
	for _, c := range []struct {
		client, request string
		fields          []string
		want            string
	}{
		{"a form", "POST /files/", []string{form}, "content-range"},
		{"Dropzone, Flow.js, Plupload", "POST /files/it?flowChunkNumber=1", []string{form}, "content-range"},
		{"testChunks of Resumable.js", "GET /files/it?resumableChunkNumber=1", nil, "content-range"},
		{"blueimp", "POST /files/it", []string{form, "Content-Range: bytes 0-4/10"}, "content-range"},
		{"the nginx upload module's", "POST /files/it", []string{octets, "Session-ID: 7", "X-Content-Range: bytes 0-4/10"}, "content-range"},
		{"the same by PUT", "PUT /files/it", []string{octets, "Session-ID: 7", "X-Content-Range: bytes 0-4/10"}, "content-range"},
		{"GTMSessionFetcher, start", "POST /files/", []string{"X-Goog-Upload-Protocol: resumable", "X-Goog-Upload-Command: start"}, "tus"},
		{"GTMSessionFetcher, upload", "PUT /files/it", []string{"X-Goog-Upload-Command: upload, finalize", "X-Goog-Upload-Offset: 0"}, "content-range"},
		{"a fetch of a file", "POST /files/it", []string{octets}, "tus"},
		{"S3", "PUT /files/it?partNumber=1&uploadId=7", []string{"X-Amz-Content-Sha256: x"}, "content-range"},
		{"WebDAV", "MKCOL /files/it", nil, ""},
		{"iOS 17, a form", "POST /files/", []string{form, "Upload-Draft-Interop-Version: 6", "Upload-Complete: ?1"}, "ietf"},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		if got := protocolOf(protocols, method, path, c.fields...); got != c.want {
			t.Errorf("%s: %q, want %q", c.client, got, c.want)
		}
	}
}
