package test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answers reads all answers that come until the connection ends, or stalls.
func (w *wire) answers() (statuses []int, closed bool) {
	w.t.Helper()
	for {
		_ = w.conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		if _, err := w.in.Peek(1); err != nil {
			return statuses, err == io.EOF || strings.Contains(err.Error(), "reset")
		}
		resp, err := http.ReadResponse(w.in, nil)
		if err != nil {
			w.t.Fatalf("no answer: %v", err)
		}
		if a, err := ReadAnswer(resp); err == nil {
			statuses = append(statuses, a.Status)
		}
	}
}

// A second request hides in what one reader of the first takes for its body, and
// another for the next request. It must never be acted upon.
func TestSmuggledRequestIsNotActedUpon(t *testing.T) {
	t.Parallel()
	s := start(t)
	v := newVictim(t, s, "victim")
	hidden := "DELETE /files/victim HTTP/1.1\r\nHost: x\r\n\r\n"
	n := fmt.Sprint(len("0\r\n\r\n" + hidden))
	for name, c := range map[string]struct {
		fields []string
		body   string
	}{
		"length and chunked":               {[]string{"Content-Length: " + n, "Transfer-Encoding: chunked"}, "0\r\n\r\n" + hidden},
		"chunked and length":               {[]string{"Transfer-Encoding: chunked", "Content-Length: " + n}, "0\r\n\r\n" + hidden},
		"two lengths":                      {[]string{"Content-Length: 0", "Content-Length: " + n}, hidden},
		"a list of lengths":                {[]string{"Content-Length: 0, " + n}, hidden},
		"two codings":                      {[]string{"Transfer-Encoding: chunked", "Transfer-Encoding: identity"}, "0\r\n\r\n" + hidden},
		"a coding that is none":            {[]string{"Transfer-Encoding: xchunked", "Content-Length: " + n}, "0\r\n\r\n" + hidden},
		"a blank before the colon":         {[]string{"Transfer-Encoding : chunked", "Content-Length: " + n}, "0\r\n\r\n" + hidden},
		"a folded line":                    {[]string{"Transfer-Encoding:\r\n chunked", "Content-Length: 0"}, hidden},
		"a length with a sign":             {[]string{"Content-Length: +0"}, hidden},
		"a length in hexadecimal":          {[]string{"Content-Length: 0x0"}, hidden},
		"a chunk size that overflows":      {[]string{"Transfer-Encoding: chunked"}, "10000000000000000\r\n" + hidden},
		"a chunk size with a sign":         {[]string{"Transfer-Encoding: chunked"}, "-1\r\n" + hidden},
		"a bare LF ends the head":          {[]string{"Content-Length: " + fmt.Sprint(len(hidden)) + "\nX: y"}, hidden},
		"another host":                     {[]string{"Host: other", "Content-Length: 0"}, hidden},
		"a chunk with a long extension":    {[]string{"Transfer-Encoding: chunked"}, "1;" + strings.Repeat("x", 20_000) + "\r\nA\r\n0\r\n\r\n" + hidden},
		"a header that names a connection": {[]string{"Connection: Content-Length", "Content-Length: " + fmt.Sprint(len(hidden))}, hidden},
	} {
		t.Run(name, func(t *testing.T) {
			w := dial(t, s.Addr)
			w.write(strings.Join(append([]string{"PUT /files/bait HTTP/1.1", "Host: " + s.Addr}, c.fields...), "\r\n") + "\r\n\r\n" + c.body)
			if statuses, _ := w.answers(); len(statuses) > 1 {
				t.Errorf("there are answers to %d requests: %v", len(statuses), statuses)
			}
		})
	}
	v.survives(nothing)
}

// What a client says of its file must not become a header of an answer.
func TestMetadataDoesNotBecomeHeaders(t *testing.T) {
	t.Parallel()
	s := start(t)
	evil := "a.html\r\nSet-Cookie: evil=1\r\n\r\n<script>alert(1)</script>\x00\"; filename*=UTF-8''b.html"
	meta := "Upload-Metadata: filename " + base64Of(evil) + ",filetype " + base64Of("text/html\r\nX-Evil: 1")
	made := createTus(t, s, 5, meta)
	patch(t, made, NewContent(1, 5), NewContent(1, 5).All(), 204)
	for _, fields := range [][]string{nil, {tusVersion}} {
		for _, method := range []string{"HEAD", "GET"} {
			answer := ask(t, method, made, nil, fields, 200)
			if answer.Header.Get("Set-Cookie")+answer.Header.Get("X-Evil") != "" {
				t.Errorf("%s: %v", method, answer.Header)
			}
			for name, values := range answer.Header {
				if strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") {
					t.Errorf("%s: %s: %q", method, name, values)
				}
			}
			if d := answer.Header.Get("Content-Disposition"); d != "" && !strings.HasPrefix(d, "attachment") {
				t.Errorf("Content-Disposition: %q", d)
			}
		}
	}
	w := dial(t, s.Addr)
	w.write("PUT /files/raw HTTP/1.1\r\nHost: " + s.Addr + "\r\nContent-Length: 1\r\nContent-Disposition: attachment; filename*=UTF-8''a%0d%0aSet-Cookie:%20evil=1\r\n\r\nx")
	demand(t, w.answer(), 201)
	if answer := ask(t, "GET", s.URL("raw"), nil, nil, 200); answer.Header.Get("Set-Cookie") != "" {
		t.Errorf("%v", answer.Header)
	}
}

// Nothing is ever decompressed, so that no bomb goes off; and what is compressed is not
// taken for the file.
func TestCompressedBodiesAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	url := createTus(t, s, 100)
	before := listing(t, s.Data)
	for _, coding := range []string{"gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip"} {
		encoded := "Content-Encoding: " + coding
		ask(t, "PUT", s.URL("bomb"), strings.NewReader("x"), []string{encoded}, 415)
		ask(t, "PUT", s.URL("bomb"), strings.NewReader("x"), []string{encoded, "Content-Range: bytes 0-0/10"}, 415)
		ask(t, "PATCH", url, strings.NewReader("x"), []string{encoded, tusVersion, offsetBytes, "Upload-Offset: 0"}, 415)
		ask(t, "POST", s.URL(""), strings.NewReader("x"), []string{encoded, tusVersion, offsetBytes, "Upload-Length: 10"}, 415)
	}
	if after := listing(t, s.Data); !maps.Equal(before, after) {
		t.Errorf("something was stored: %v", after)
	}
}

// No id leads out of the directory, however it is written.
func TestPathsDoNotLeadOutOfTheStore(t *testing.T) {
	t.Parallel()
	s := start(t)
	before := listing(t, s.Data)
	for _, path := range []string{
		"/files/../../etc/passwd", "/files/%2e%2e/%2e%2e/etc/passwd", "/files/..%2f..%2fetc%2fpasswd", "/files/%2e%2e%5cx", "/files/a%2fb",
		"/files/a/b", "/files/.hidden", "/files/%2e", "/files/%2e%2e", "/files/a%00b", "/files/a%0d%0ab", "/files/%252e%252e%252fa", "/files/" + strings.Repeat("a", 129),
		"/files/%c0%ae%c0%ae/a", "/files/a%5c..%5cb", "/files//etc/passwd", "/files/~", "/files/.uploads",
	} {
		for _, method := range []string{"PUT", "GET", "HEAD", "DELETE", "PATCH"} {
			w := dial(t, s.Addr)
			w.send(method+" "+path+" HTTP/1.1", "Host: "+s.Addr, "Content-Length: 0", tusVersion, offsetBytes, "Upload-Offset: 0", "Connection: close")
			resp, err := http.ReadResponse(w.in, &http.Request{Method: method})
			if err != nil {
				t.Fatal(err)
			}
			if a, err := ReadAnswer(resp); err != nil || a.Status < 400 || a.Status >= 500 {
				t.Errorf("%s %s: status %d, %v", method, path, a.Status, err)
			}
		}
	}
	if after := listing(t, s.Data); !maps.Equal(before, after) {
		t.Errorf("something was stored: %v", after)
	}
}

// A client that sends its headers byte by byte holds a connection for half a minute,
// and no longer.
func TestSlowHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	s := start(t)
	w := dial(t, s.Addr)
	_ = w.conn.SetDeadline(time.Now().Add(time.Minute))
	w.write("PUT /files/slow HTTP/1.1\r\nHost: x\r\n")
	began, stop := time.Now(), make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
				_, _ = io.WriteString(w.conn, "X-A: b\r\n") // until it is cut off
			}
		}
	}()
	_, err := io.ReadAll(w.in)
	if took := time.Since(began); took < 20*time.Second || took > 45*time.Second {
		t.Errorf("the connection ended after %v (%v)", took, err)
	}
}

// Names that a client chooses are keys of Go's maps, whose hashes it cannot foresee; and
// there are only so many headers.
func TestHeadersAndMetadataAreBounded(t *testing.T) {
	t.Parallel()
	s := start(t)
	w := dial(t, s.Addr)
	// The server may hang up before it has read all of it.
	_, _ = io.WriteString(w.conn, "PUT /files/many HTTP/1.1\r\nHost: x\r\n"+strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 1500))
	if status := w.answer().Status; status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("1.5 MB of headers: %d", status)
	}
	var pairs []string
	for i := range 20_000 {
		pairs = append(pairs, fmt.Sprintf("k%d", i))
	}
	ask(t, "POST", s.URL(""), nil, []string{tusVersion, "Upload-Length: 1", "Upload-Metadata: " + strings.Join(pairs, ",")}, 431)
}
