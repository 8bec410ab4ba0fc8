package test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// F32: the metadata of an upload have one bound, whichever protocol brings them, and
// whether the request creates the upload or not.
func TestF32MetadataHaveOneBoundInEveryProtocol(t *testing.T) {
	t.Parallel()
	s := start(t)
	putAs(t, s.URL("there"), "01234", "bytes 0-4/10", 202)
	named := func(bytes int) string {
		return `Content-Disposition: attachment; filename="` + strings.Repeat("x", bytes) + `"`
	}
	const most = 48*kib - 10 // in base64, beside the name of the entry and that of the type
	for name, c := range map[string]struct {
		method, id string
		fields     []string
		want       int
	}{
		"PUT":             {"PUT", "a", []string{named(900_000)}, 431},
		"a chunk":         {"PUT", "b", []string{named(most + 20), "Content-Range: bytes 0-4/10"}, 431},
		"a later chunk":   {"PUT", "there", []string{named(900_000), "Content-Range: bytes 5-9/10"}, 431},
		"tus":             {"POST", "", []string{tusVersion, "Upload-Length: 5", "Upload-Metadata: a " + strings.Repeat("YWFh", 16*kib)}, 431},
		"IETF":            {"POST", "", []string{"Upload-Draft-Interop-Version: 6", "Upload-Complete: ?1", "Upload-Metadata: a " + strings.Repeat("YWFh", 16*kib)}, 431},
		"a long type":     {"PUT", "c", []string{"Content-Type: video/" + strings.Repeat("x", most+20)}, 431},
		"PUT, just fits":  {"PUT", "d", []string{named(most)}, 201},
		"tus, just fits":  {"POST", "", []string{tusVersion, "Upload-Length: 5", "Upload-Metadata: abcd " + base64.StdEncoding.EncodeToString(make([]byte, most))}, 201},
		"tus, exact size": {"POST", "", []string{tusVersion, "Upload-Length: 5", "Upload-Metadata: abc " + strings.Repeat("YWFh", 16*kib-1)}, 201},
	} {
		var body *strings.Reader
		if body = strings.NewReader("01234"); c.method == "POST" {
			body = strings.NewReader("")
		}
		a := ask(t, c.method, s.URL(c.id), body, c.fields, c.want)
		if c.want == http.StatusRequestHeaderFieldsTooLarge && (len(a.Body) > 500 || !strings.Contains(string(a.Body), "65536")) {
			t.Errorf("%s: %.500s", name, a.Body)
		}
	}
	if got := received(t, s.URL("there")); got.Bytes() != 5 {
		t.Errorf("a refused chunk was stored: %v", got)
	}
}

// A short request that names one part a thousand times would make a file of hundreds of
// megabytes.
func TestAConcatenationCannotRepeatAPartWithoutEnd(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(36, 1000)
	part := createTus(t, s, 1000, "Upload-Concat: partial")
	patch(t, part, content, content.All(), 204)
	final := func(n int) []string {
		return []string{tusVersion, "Upload-Concat: final;" + strings.TrimSpace(strings.Repeat(part+" ", n))}
	}
	ask(t, "POST", s.URL(""), nil, final(1000), 400)
	ask(t, "POST", s.URL(""), nil, final(9), 400)
	if _, size := head(t, ask(t, "POST", s.URL(""), nil, final(8), 201).Header.Get("Location"), 200); size != 8000 {
		t.Errorf("the concatenation has %d bytes", size)
	}
}

// What bodies with a checksum occupy until it is verified is bounded.
func TestABodyThatDoesNotFitIntoTheBufferIsTooLarge(t *testing.T) {
	t.Parallel()
	s := start(t, "--buffer-memory", "1MiB", "--buffer-disk", "2MiB")
	for size, want := range map[int64]int{8 * mib: 413, 2 * mib: 201, 100: 201} {
		body := NewContent(37, size).Bytes(ranges.Of(0, size))
		sum := md5.Sum(body)
		fields := []string{"Content-MD5: " + base64.StdEncoding.EncodeToString(sum[:])}
		ask(t, "PUT", s.URL(fmt.Sprint("of", size)), bytes.NewReader(body), fields, want)
		ask(t, "PUT", s.URL(fmt.Sprint("plain", size)), bytes.NewReader(body), nil, 201)
	}
}
