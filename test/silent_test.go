package test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// Whatever a request is, one that announces a body and sends none of it is answered,
// and its connection ends, once the idle timeout has passed.
func TestARequestWithoutItsBodyIsAnsweredWithinTheIdleTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, "--idle-timeout", "1s", "--max-size", "1000")
	putAs(t, s.URL("done"), "hello", "bytes 0-4/5", 201)
	putAs(t, s.URL("begun"), "hello", "bytes 0-4/10", 202)
	const tusType, offset, length = "Content-Type: application/offset+octet-stream", "Upload-Offset: 5", "Content-Length: 5"
	var wait sync.WaitGroup
	began := time.Now()
	for name, c := range map[string]struct {
		line   string // the method and the path
		fields []string
		want   int
	}{
		"tus: a type that is none":        {"PATCH /files/begun", []string{tusVersion, "Content-Type: x/y", offset}, 415},
		"tus: metadata that is no base64": {"POST /files/", []string{tusVersion, "Upload-Length: 100", "Upload-Metadata: a !"}, 400},
		"tus: an id that is none":         {"PATCH /files/-", []string{tusVersion, tusType, offset}, 400},
		"tus: a checksum that is none":    {"PATCH /files/begun", []string{tusVersion, tusType, offset, "Upload-Checksum: sha0 YQ=="}, 400},
		"tus: encoded bytes":              {"PATCH /files/begun", []string{tusVersion, tusType, offset, "Content-Encoding: gzip"}, 415},
		"tus: another version":            {"PATCH /files/begun", []string{"Tus-Resumable: 0.2.2", tusType, offset}, 412},
		"tus: another offset":             {"PATCH /files/begun", []string{tusVersion, tusType, "Upload-Offset: 9"}, 409},
		"tus: no such upload":             {"PATCH /files/none", []string{tusVersion, tusType, offset}, 404},
		"tus: a method for another URL":   {"POST /files/begun", []string{tusVersion}, 405},
		"tus: a HEAD":                     {"HEAD /files/begun", []string{tusVersion}, 200},
		"tus: a PATCH":                    {"PATCH /files/begun", []string{tusVersion, tusType, offset}, 503},
		"range: one that is none":         {"PUT /files/begun", []string{"Content-Range: bytes 9-5/100"}, 400},
		"range: beyond the size":          {"PUT /files/begun", []string{"Content-Range: bytes 0-4/5000"}, 413},
		"range: of another length":        {"PUT /files/begun", []string{"Content-Range: bytes 0-9/10"}, 400},
		"range: an id that is none":       {"PUT /files/-", nil, 400},
		"range: no id":                    {"PUT /files/", nil, 404},
		"range: encoded bytes":            {"PUT /files/new", []string{"Content-Encoding: gzip"}, 415},
		"range: a question with a length": {"PUT /files/begun", []string{"Content-Range: bytes */10"}, 400},
		"range: what is there already":    {"PUT /files/done", nil, 503},
		"range: a piece":                  {"PUT /files/new", []string{"Content-Range: bytes 0-4/1000"}, 503},
		"range: the state":                {"GET /files/begun", nil, 200},
		"range: a file":                   {"GET /files/done", nil, 200},
		"range: a HEAD":                   {"HEAD /files/done", nil, 200},
		"range: a DELETE":                 {"DELETE /files/none", nil, 404},
		"no protocol: OPTIONS":            {"OPTIONS /files/", nil, 200},
		"no protocol: nothing is there":   {"PUT /elsewhere", nil, 404},
		"no protocol: /healthz":           {"GET /healthz", nil, 200},
	} {
		for _, body := range []string{length, "Transfer-Encoding: chunked"} {
			if strings.Contains(name, "length") && body != length {
				continue
			}
			w := dial(t, s.Addr)
			w.send(append([]string{c.line + " HTTP/1.1", "Host: " + s.Addr, body}, c.fields...)...)
			wait.Go(func() {
				status := 0
				if _, err := fmt.Fscanf(w.in, "HTTP/1.1 %d", &status); err != nil || status != c.want {
					t.Errorf("%s, %s: status %d, %v, want %d", name, body, status, err, c.want)
				}
				if _, err := io.Copy(io.Discard, w.in); err != nil {
					t.Errorf("%s, %s: the connection has not ended: %v", name, body, err)
				}
			})
		}
	}
	wait.Wait()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
