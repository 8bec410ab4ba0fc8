package holdfast

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// allProtocols returns the protocols of a server.
func allProtocols(t testing.TB) []protocol.Protocol {
	t.Helper()
	uploads := storage.New(storagetest.NewMemory(4096).Node(), new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{})
	opts := protocol.Options{URLs: protocol.URLs{BasePath: "/files/"}, Shutdown: transport.NewShutdown()}
	protocols, err := protocolsOf(uploads, opts, true, true)
	if err != nil {
		t.Fatal(err)
	}
	return protocols
}

// protocolOf returns the name of the protocol of a request, "" if there is none.
func protocolOf(protocols []protocol.Protocol, method, path string, fields ...string) string {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Method = method
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	if p := protocol.Match(protocols, r); p != nil {
		return p.Name()
	}
	return ""
}

// What a client sends decides the protocol. iOS adds the fields of the IETF draft to the
// requests of all, so every other protocol wins over them.
func TestProtocolsAreDistinguished(t *testing.T) {
	const (
		tus, ranged      = "Tus-Resumable: 1.0.0", "Content-Range: bytes 0-4/10"
		six, three       = "Upload-Draft-Interop-Version: 6", "Upload-Draft-Interop-Version: 3"
		last, part       = "Upload-Complete: ?1", "Upload-Complete: ?0"
		oldLast, oldPart = "Upload-Incomplete: ?0", "Upload-Incomplete: ?1"
		offset           = "Upload-Offset: 5"
		form             = "Content-Type: multipart/form-data; boundary=x"
	)
	protocols := allProtocols(t)
	for _, c := range []struct {
		methods string
		fields  []string
		want    string
	}{
		{"POST PUT PATCH HEAD GET DELETE", []string{six}, "ietf"},
		{"POST PUT PATCH HEAD GET DELETE", []string{"Upload-Draft-Interop-Version: 99"}, "ietf"},
		{"POST PUT", []string{six, last}, "ietf"},
		{"POST PUT", []string{three, oldLast}, "ietf"},
		{"POST PUT PATCH", []string{part}, "ietf"},
		{"POST PUT PATCH", []string{last, offset}, "ietf"},
		{"POST PUT PATCH", []string{oldPart}, "ietf"},
		{"POST PUT PATCH", []string{oldLast + ";a=b"}, "ietf"},
		{"PUT HEAD GET DELETE", nil, "content-range"},
		{"PUT", []string{"Upload-Complete: 1"}, "content-range"},
		{"PUT", []string{"Upload-Complete: ?0, ?1"}, "content-range"},
		{"PUT", []string{part, part}, "content-range"},
		{"PUT", []string{offset}, "content-range"},
		{"PUT POST PATCH", []string{ranged}, "content-range"},
		{"PUT POST PATCH", []string{ranged, six, last}, "content-range"},
		{"PUT POST PATCH", []string{ranged, tus, six, part}, "content-range"},
		{"PUT", []string{"X-Content-Range: bytes 0-4/10", six, last}, "content-range"},
		{"PUT", []string{"X-Goog-Upload-Command: upload", six, last}, "content-range"},
		{"PUT GET", []string{tus}, "content-range"},
		{"PUT GET", []string{tus, six, last}, "content-range"},
		{"POST PATCH HEAD DELETE", []string{tus}, "tus"},
		{"POST PATCH HEAD DELETE", []string{tus, six, last}, "tus"},
		{"POST PATCH HEAD DELETE", []string{tus, three, oldPart, offset}, "tus"},
		{"POST PATCH", nil, "tus"},
		{"POST PATCH", []string{offset}, "tus"},
		{"POST PATCH", []string{"Upload-Complete: true"}, "tus"},
		{"POST PATCH", []string{"X-Content-Range: bytes 0-4/10", six, last}, "content-range"},
		{"POST PATCH", []string{"X-Content-Range: bytes 0-4/10", tus}, "tus"},
		{"POST PUT PATCH", []string{form}, "content-range"},
		{"POST PATCH", []string{form, tus}, "tus"},
		{"POST PATCH", []string{form, six, last}, "ietf"},
		{"OPTIONS TRACE PROPFIND CONNECT", []string{six, last, tus, ranged}, ""},
	} {
		for method := range strings.FieldsSeq(c.methods) {
			for _, path := range []string{"/files/", "/files/it"} {
				if got := protocolOf(protocols, method, path, c.fields...); got != c.want {
					t.Errorf("%s %s %v: %q, want %q", method, path, c.fields, got, c.want)
				}
			}
		}
	}
}

// URLs of Google's API decide the protocol, whatever fields a request has.
func TestGooglesURLsDecideTheProtocol(t *testing.T) {
	protocols := allProtocols(t)
	for _, fields := range [][]string{nil, {"Content-Range: bytes 0-4/10"}, {"Upload-Draft-Interop-Version: 6", "Upload-Complete: ?1"}, {"Tus-Resumable: 1.0.0"}} {
		for _, request := range []string{"PUT /files/it?uploadType=resumable", "POST /files/it?uploadType=resumable", "DELETE /files/it?uploadType=resumable",
			"POST /upload/storage/v1/b/bk/o?uploadType=media", "GET /storage/v1/b/bk/o/name", "HEAD /download/storage/v1/b/bk/o/name"} {
			method, path, _ := strings.Cut(request, " ")
			if got := protocolOf(protocols, method, path, fields...); got != "google" {
				t.Errorf("%s %v: %q", request, fields, got)
			}
		}
		if got := protocolOf(protocols, "HEAD", "/files/it?uploadType=resumable", fields...); got == "google" {
			t.Errorf("HEAD of a session %v: google", fields)
		}
	}
}

// So does createUploadSession, but at the URL of an upload.
func TestTheURLOfAGraphSessionDecidesTheProtocol(t *testing.T) {
	protocols := allProtocols(t)
	for url, want := range map[string]string{
		"/v1.0/me/drive/root:/Docs/v.mp4:/createUploadSession": "graph",
		"/files/a/createUploadSession":                         "graph",
		"/createUploadSession":                                 "graph",
		"/files/createUploadSession":                           "content-range",
	} {
		if got := protocolOf(protocols, "POST", url, "Content-Range: bytes 0-4/10"); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

// The rules again, in other words.
func FuzzProtocolsAreDistinguished(f *testing.F) {
	protocols := allProtocols(f)
	f.Add("POST", "1.0.0", "", "6", "?1", "")
	f.Add("PUT", "", "bytes 0-4/10", "", "?0", "?1")
	f.Add("PATCH", "", "", "", "?0 ; a", "?1;a=1")
	f.Add("HEAD", "", "", "x", "", "")
	f.Fuzz(func(t *testing.T, method, tus, ranged, version, complete, incomplete string) {
		var fields []string
		for name, value := range map[string]string{"Tus-Resumable": tus, "Content-Range": ranged,
			"Upload-Draft-Interop-Version": version, "Upload-Complete": complete, "Upload-Incomplete": incomplete} {
			if value != "" {
				fields = append(fields, name+": "+value)
			}
		}
		got := protocolOf(protocols, method, "/files/it", fields...)
		slices.Reverse(fields)
		if again := protocolOf(protocols, method, "/files/it", fields...); again != got {
			t.Errorf("%q and %q by the order of the fields", got, again)
		}
		sends := method == "POST" || method == "PUT" || method == "PATCH"
		looks := method == "HEAD" || method == "GET" || method == "DELETE"
		starts := func(value string) bool {
			value = strings.TrimLeft(value, " ")
			return strings.HasPrefix(value, "?0") || strings.HasPrefix(value, "?1")
		}
		wrong := map[string]bool{
			"":              sends || looks,
			"tus":           !sends && !looks || method == "PUT" || method == "GET" || ranged != "" && sends,
			"content-range": !sends && !looks || ranged == "" && (method == "POST" || method == "PATCH") || version != "" && tus == "" && ranged == "",
			"ietf":          !sends && !looks || tus != "" || ranged != "" || version == "" && !starts(complete) && !starts(incomplete),
		}
		if wrong[got] {
			t.Errorf("%s %q belongs to %q", method, fields, got)
		}
	})
}
