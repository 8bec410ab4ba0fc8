package test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// A victim is an upload of 100 bytes, of which the first ten are there, that has
// to survive what a test does to it.
type victim struct {
	t       *testing.T
	server  *Server
	id      string
	content Content
	client  *Client
}

func newVictim(t *testing.T, s *Server, id string) *victim {
	t.Helper()
	content := NewContent(7, 100)
	v := &victim{t, s, id, content, newClient(s, id, content)}
	put(t, v.client, ranges.Of(0, 10), http.StatusAccepted)
	return v
}

func (v *victim) url() string { return v.server.URL(v.id) }

// survives demands that the upload has nothing beyond its first ten bytes and
// what lies in allowed, that it can be finished with every byte right, and that
// deleting it leaves nothing behind.
func (v *victim) survives(allowed ranges.Range) {
	v.t.Helper()
	have := received(v.t, v.url())
	want := ranges.NewSet(ranges.Of(0, 10))
	if missing := want.Minus(have); !missing.Empty() {
		v.t.Errorf("lost: %v", missing)
	}
	want.Add(allowed)
	if extra := have.Minus(want); !extra.Empty() {
		v.t.Errorf("stored outside of the range: %v", extra)
	}
	put(v.t, v.client, ranges.Of(10, 40), http.StatusAccepted)
	put(v.t, v.client, ranges.Of(50, 50), http.StatusCreated)
	wantFile(v.t, v.url(), v.content)
	remove(v.t, v.server, v.id)
}

var nothing = ranges.Range{}

// badRanges cannot be the Content-Range of ten bytes of a file of 100.
var badRanges = map[string]string{
	"no unit":                 "10-19/100",
	"unit alone":              "bytes",
	"unit and a space":        "bytes ",
	"no total":                "bytes 10-19",
	"empty total":             "bytes 10-19/",
	"no last":                 "bytes 10-/100",
	"no first":                "bytes -19/100",
	"negative first":          "bytes -10-19/100",
	"negative last":           "bytes 10--19/100",
	"negative total":          "bytes 10-19/-100",
	"first with a sign":       "bytes +10-19/100",
	"total with a sign":       "bytes 10-19/+100",
	"reversed":                "bytes 19-10/100",
	"reversed by one":         "bytes 10-9/100",
	"letters":                 "bytes a-b/c",
	"hexadecimal":             "bytes 0xa-0x13/100",
	"fraction":                "bytes 10.0-19.0/100",
	"exponent":                "bytes 1e1-19/100",
	"digits of other scripts": "bytes ١٠-١٩/١٠٠",
	"list":                    "bytes 10-19/100, 20-29/100",
	"two in one field":        "bytes 10-19/100, bytes 10-19/100",
	"two with a space":        "bytes 10-19/100 bytes 10-19/100",
	"equals sign":             "bytes=10-19/100",
	"foreign unit":            "items 10-19/100",
	"unit of api.video":       "part 1/10",
	"total of cloudinary":     "bytes 10-19/-1",
	"starts at the end":       "bytes 100-109/100",
	"starts beyond the end":   "bytes 200-209/100",
	"ends at the total":       "bytes 91-100/100",
	"ends beyond the total":   "bytes 95-104/100",
	"total within the range":  "bytes 10-19/15",
	"total before the range":  "bytes 10-19/5",
	"total grows":             "bytes 10-19/101",
	"total shrinks":           "bytes 10-19/99",
	"longer than the body":    "bytes 10-20/100",
	"shorter than the body":   "bytes 10-18/100",
	"total of 2^63-1":         "bytes 10-19/9223372036854775807",
	"total of 2^63":           "bytes 10-19/9223372036854775808",
	"last of 2^63-1":          "bytes 9223372036854775798-9223372036854775807/*",
	"last of 2^63":            "bytes 9223372036854775799-9223372036854775808/*",
	"last of 2^64-1":          "bytes 10-18446744073709551615/*",
	"wraps to 10-19 at 2^64":  "bytes 18446744073709551626-18446744073709551635/100",
	"30 digits":               "bytes 100000000000000000000000000010-100000000000000000000000000019/100000000000000000000000000100",
	"30 digits of total":      "bytes 10-19/100000000000000000000000000100",
	"range of a status query": "bytes */100",
	"status query, no total":  "bytes */*",
}

func TestBadContentRangeIsRefusedAndTheUploadStaysUsable(t *testing.T) {
	t.Parallel()
	s := start(t)
	n := 0
	for name, field := range badRanges {
		n++
		t.Run(name, func(t *testing.T) {
			v := newVictim(t, s, fmt.Sprintf("existing-%d", n))
			putAs(t, v.url(), strings.Repeat("x", 10), field, http.StatusBadRequest)
			v.survives(nothing)
		})
	}
}

func TestBadContentRangeCreatesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	empty := listing(t, s.Data)
	valid := map[string]bool{"total grows": true, "total shrinks": true, "total of 2^63-1": true}
	for name, field := range badRanges {
		if valid[name] {
			continue // as the first range of an upload these are right
		}
		t.Run(name, func(t *testing.T) {
			putAs(t, s.URL("fresh"), strings.Repeat("x", 10), field, http.StatusBadRequest)
			ask(t, http.MethodGet, s.URL("fresh"), nil, nil, http.StatusNotFound)
			if now := listing(t, s.Data); len(now) != len(empty) {
				t.Errorf("files were left: %v", now)
			}
		})
	}
}

func TestTwoContentRangeFieldsAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	for name, second := range map[string]string{"other": "bytes 20-29/100", "same": "bytes 10-19/100"} {
		t.Run(name, func(t *testing.T) {
			v := newVictim(t, s, "two-"+name)
			w := dial(t, s.Addr)
			w.send("PUT /files/"+v.id+" HTTP/1.1", "Host: "+s.Addr, "Content-Length: 10",
				"Content-Range: bytes 10-19/100", "Content-Range: "+second)
			w.write("0123456789")
			demand(t, w.answer(), http.StatusBadRequest)
			v.survives(nothing)
		})
	}
}

func TestTheLastByteOfTheLargestFileIsNotAcknowledgedUnlessStored(t *testing.T) {
	t.Parallel()
	s := start(t)
	url := s.URL("largest")
	// 2^63-1 bytes are a size that the protocol allows and no disk has room for.
	putAs(t, url, "x", "bytes 9223372036854775806-9223372036854775806/9223372036854775807",
		http.StatusRequestEntityTooLarge)
	if have := received(t, url); !have.Empty() {
		t.Errorf("acknowledged: %v", have)
	}
	remove(t, s, "largest")
}

func TestAnIDThatIsNoNameIsRefusedByEveryMethod(t *testing.T) {
	t.Parallel()
	s := start(t)
	empty := listing(t, s.Data)
	paths := map[string]string{
		"a slash":              "/files/a/b",
		"an escaped slash":     "/files/a%2fb",
		"the parent":           "/files/..",
		"the parent and on":    "/files/../../etc/passwd",
		"the escaped parent":   "/files/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
		"a dot":                "/files/.",
		"a hidden name":        "/files/.holdfast",
		"two slashes":          "/files//a",
		"NUL":                  "/files/a%00b",
		"a line break":         "/files/a%0d%0ab",
		"no UTF-8":             "/files/%ff%fe",
		"a space":              "/files/a%20b",
		"5,000 characters":     "/files/" + strings.Repeat("a", 5000),
		"a backslash":          "/files/..%5c..%5cb",
		"a percent sign alone": "/files/a%zz",
	}
	for name, path := range paths {
		for _, method := range []string{"PUT", "GET", "HEAD", "PATCH", "DELETE"} {
			t.Run(method+" "+name, func(t *testing.T) { refuseID(t, s, method, path) })
		}
	}
	if now := listing(t, s.Data); len(now) != len(empty) {
		t.Errorf("files were left: %v", now)
	}
}

// refuseID demands a 400 or 404 for the path. A redirect would make a phone send
// its chunk to somewhere else.
func refuseID(t *testing.T, s *Server, method, path string) {
	t.Helper()
	w := dial(t, s.Addr)
	lines := []string{method + " " + path + " HTTP/1.1", "Host: " + s.Addr, "Connection: close", "Tus-Resumable: 1.0.0"}
	switch method {
	case "PUT":
		lines = append(lines, "Content-Range: bytes 0-9/100", "Content-Length: 10")
	case "PATCH":
		lines = append(lines, "Upload-Offset: 0", "Content-Type: application/offset+octet-stream", "Content-Length: 10")
	}
	w.send(lines...)
	if method == "PUT" || method == "PATCH" {
		w.write("0123456789")
	}
	resp, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusBadRequest && resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
	if method != http.MethodHead && len(body) == 0 {
		t.Errorf("status %d without a message", resp.StatusCode)
	}
}

func TestANulByteInTheRequestLineIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	w := dial(t, s.Addr)
	w.send("PUT /files/a\x00b HTTP/1.1", "Host: "+s.Addr, "Content-Range: bytes 0-9/100", "Content-Length: 10")
	demand(t, w.answer(), http.StatusBadRequest) // by net/http, which would reset the connection for a body
}
