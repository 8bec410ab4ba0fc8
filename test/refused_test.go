package test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Who sends a large body that is refused is answered after little of it, and gets the
// answer, whatever the protocol.
func TestF20ALargeBodyIsRefusedAfterLittleOfIt(t *testing.T) {
	t.Parallel()
	s := start(t, "--admin-listen", "127.0.0.1:0")
	content := NewContent(20, 100)
	put(t, newClient(s, "deleted", content), ranges.Of(0, 10), http.StatusAccepted)
	remove(t, s, "deleted")
	put(t, newClient(s, "done", content), content.All(), http.StatusCreated)
	url := idOf(createTus(t, s, 100*mib))
	const size = 60 * mib
	total := fmt.Sprintf("Content-Range: bytes 0-%d/%d", size-1, size)
	for name, c := range map[string]struct {
		line   string
		fields []string
		want   int
	}{
		"tus: beyond the offset":     {"PATCH /files/" + url, []string{tusVersion, offsetBytes, "Upload-Offset: 1000"}, 409},
		"tus: deleted":               {"PATCH /files/deleted", []string{tusVersion, offsetBytes, "Upload-Offset: 10"}, 404},
		"tus: another type":          {"PATCH /files/" + url, []string{tusVersion, "Content-Type: text/plain", "Upload-Offset: 0"}, 415},
		"range: deleted":             {"PUT /files/deleted", []string{total}, 410},
		"range: another size":        {"PUT /files/done", []string{total}, 400},
		"range: encoded":             {"PUT /files/new", []string{total, "Content-Encoding: gzip"}, 415},
		"neither: another method":    {"PURGE /files/new", nil, 405},
		"neither: not the base path": {"PUT /elsewhere", nil, 404},
	} {
		t.Run(name, func(t *testing.T) {
			w := dial(t, s.Addr)
			w.send(append([]string{c.line + " HTTP/1.1", "Host: " + s.Addr, fmt.Sprintf("Content-Length: %d", size)}, c.fields...)...)
			written := make(chan int64)
			go func() {
				n, _ := io.CopyN(w.conn, endless{}, size)
				written <- n
			}()
			demand(t, w.answer(), c.want)
			w.conn.Close() // as a client does that gets such an answer
			if n := <-written; n > size/2 {
				t.Errorf("%d of %d bytes were sent before the answer", n, size)
			}
		})
	}
	m := scrape(t, adminOf(t, s))
	if n := m.sum("holdfast_http_request_bytes_total"); n > 8*256*kib {
		t.Errorf("%v bytes of refused bodies were read", n)
	}
}

// endless is what a client sends that never stops.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
