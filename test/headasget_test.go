package test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// ofHead are the headers that a HEAD of tus is made for.
var ofHead = []string{
	"Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Concat", "Upload-Expires", "Tus-Resumable",
}

// F34: a cache may turn a HEAD into a GET. The headers are the same, whatever state the
// upload is in, so that a client that resumes through it finds its offset.
func TestF34GETHasTheHeadersOfHEAD(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(34, 1000)
	named := "Upload-Metadata: filename " + base64.StdEncoding.EncodeToString([]byte("video.mp4")) + ",empty "
	long := "Upload-Metadata: note " + base64.StdEncoding.EncodeToString(make([]byte, 40*kib))
	begun, deferred, full := createTus(t, s, 1000, named), createTus(t, s, -1, "Upload-Defer-Length: 1", named), createTus(t, s, 1000, long)
	patch(t, begun, content, ranges.Of(0, 500), 204)
	patch(t, full, content, content.All(), 204)
	one, two := createTus(t, s, 1000, "Upload-Concat: partial"), createTus(t, s, 1000, "Upload-Concat: partial")
	patch(t, one, content, content.All(), 204)
	patch(t, two, content, ranges.Of(0, 500), 204)
	whole := createTus(t, s, -1, "Upload-Concat: final;"+one+" "+one)
	for name, url := range map[string]string{"begun": begun, "deferred": deferred, "full": full, "partial": one, "half a partial": two, "concatenated": whole} {
		want, _ := head(t, url, 200)
		got := ask(t, http.MethodGet, url, nil, []string{tusVersion}, 200)
		for _, field := range ofHead {
			w, g := want.Header.Get(field), got.Header.Get(field)
			if field == "Upload-Metadata" {
				w, g = fmt.Sprint(metadataOf(t, w)), fmt.Sprint(metadataOf(t, g))
			}
			if w != g {
				t.Errorf("%s: %s is %.100q with GET and %.100q with HEAD", name, field, g, w)
			}
		}
		if vary := strings.Join(got.Header.Values("Vary"), ","); !strings.Contains(vary, "Tus-Resumable") {
			t.Errorf("%s: Vary is %s", name, vary)
		}
	}
	plain := ask(t, http.MethodGet, full, nil, nil, 200).Header
	if plain.Get("Upload-Offset") != "1000" || plain.Get("Tus-Resumable") == "" || len(plain.Get("Upload-Metadata")) > 0 {
		t.Errorf("long metadata go only to tus clients: %.300v", plain)
	}
	if got := ask(t, http.MethodGet, begun, nil, nil, 200).Header.Get("Upload-Metadata"); got == "" {
		t.Error("a GET without Tus-Resumable has no metadata")
	}
}
