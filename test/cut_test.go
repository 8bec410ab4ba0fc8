package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A PATCH that the server cuts off is answered alike, whether or not it has a checksum.
func TestF28ACutPatchWithAChecksumIsAnsweredAsOneWithout(t *testing.T) {
	t.Parallel()
	const checksum = "Upload-Checksum: sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00="
	content := NewContent(28, 100*kib)
	for name, c := range map[string]struct {
		args []string
		cut  func(t *testing.T, s *Server, id string)
		want int
	}{
		"superseded": {nil, func(t *testing.T, s *Server, id string) {
			ask(t, http.MethodPatch, s.URL(id), nil, []string{tusVersion, offsetBytes, "Upload-Offset: 0"}, http.StatusNoContent)
		}, http.StatusServiceUnavailable},
		"stalled": {[]string{"--idle-timeout", "1s"}, func(*testing.T, *Server, string) {}, http.StatusServiceUnavailable},
		"shutdown": {[]string{"--shutdown-timeout", "6s"}, func(t *testing.T, s *Server, _ string) {
			if err := s.Terminate(30 * time.Second); err != nil {
				t.Error(err)
			}
		}, http.StatusServiceUnavailable},
	} {
		for _, fields := range [][]string{nil, {checksum}} {
			t.Run(fmt.Sprintf("%s %d", name, len(fields)), func(t *testing.T) {
				t.Parallel()
				s := start(t, append(c.args, "--admin-listen", "127.0.0.1:0")...)
				id := idOf(createTus(t, s, content.Size))
				w := beginPatch(t, s, id, content, 1000, fields...)
				reaches(t, s, "tus", 1000)
				cut := make(chan struct{})
				go func() {
					defer close(cut)
					c.cut(t, s, id)
				}()
				demand(t, w.answer(), c.want)
				<-cut
			})
		}
	}
	for _, fields := range [][]string{nil, {checksum}} {
		t.Run(fmt.Sprintf("beyond the limit %d", len(fields)), func(t *testing.T) {
			t.Parallel()
			s := start(t, "--max-size", "1000")
			id := idOf(createTus(t, s, -1, "Upload-Defer-Length: 1"))
			w := dial(t, s.Addr)
			w.send(append([]string{"PATCH /files/" + id + " HTTP/1.1", "Host: " + s.Addr, tusVersion, offsetBytes, "Upload-Offset: 0", "Transfer-Encoding: chunked"}, fields...)...)
			w.write(fmt.Sprintf("7d0\r\n%s\r\n0\r\n\r\n", content.Bytes(content.All())[:2000]))
			demand(t, w.answer(), http.StatusRequestEntityTooLarge)
		})
	}
}

// A request that its client has replaced by a newer one is no failure.
func TestF24ASupersededRequestIsNoError(t *testing.T) {
	t.Parallel()
	s := start(t, "--admin-listen", "127.0.0.1:0")
	content := NewContent(24, 100*kib)
	id := idOf(createTus(t, s, content.Size))
	w := beginPatch(t, s, id, content, 1000)
	reaches(t, s, "tus", 1000)
	finishTus(t, s.URL(id), content)
	demand(t, w.answer(), http.StatusServiceUnavailable)
	whole := dial(t, s.Addr)
	whole.send("PUT /files/whole HTTP/1.1", "Host: "+s.Addr, fmt.Sprintf("Content-Length: %d", content.Size))
	eventually(t, 30*time.Second, "the PUT of a whole file has begun", func() bool {
		a, err := Do(http.DefaultClient, request(t, http.MethodGet, s.URL("whole"), nil))
		return err == nil && a.Status == http.StatusOK
	})
	ask(t, http.MethodPut, s.URL("whole"), content.Part(content.All()), nil, http.StatusCreated)
	demand(t, whole.answer(), http.StatusServiceUnavailable)

	superseded := 0
	for _, line := range requestLines(s) {
		if line.Outcome == "superseded" && line.ErrorCode == "replaced" {
			superseded++
		}
	}
	if superseded != 2 {
		t.Errorf("the log has %d superseded requests, want 2", superseded)
	}
	for line := range strings.Lines(s.Log()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, `"level":"WARN"`) {
			t.Errorf("the log speaks of a failure: %s", line)
		}
	}
	m := scrape(t, adminOf(t, s))
	if failed, none := m.sum("holdfast_http_requests_total", "5xx"), m.sum("holdfast_http_requests_total", "none"); failed != 0 || none != 2 {
		t.Errorf("%v requests count as failed by the server, %v as not answered, want 0 and 2", failed, none)
	}
}

// reaches waits until the server has read so many bytes of bodies by a protocol.
func reaches(t *testing.T, s *Server, protocol string, bytes float64) {
	t.Helper()
	admin := adminOf(t, s)
	eventually(t, 30*time.Second, "the bytes reach the server", func() bool {
		return scrape(t, admin).sum("holdfast_http_request_bytes_total", protocol) >= bytes
	})
}
