package cluster

import (
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// An S3 server that hangs keeps no client waiting for longer than --s3-timeout allows: they
// are sent away to come back later, and the node is not ready. Then all goes on.
func TestAnS3ThatHangsSendsClientsAway(t *testing.T) {
	server := servers.S3(t)
	s := pair(t, append(onBucket(server.URL("http")), "--s3-timeout", "1s")...)
	content := test.NewContent(1, 1000)
	s.shuffled("there", content, 1000)
	server.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { server.Signal(syscall.SIGCONT) })
	client := &http.Client{Timeout: 45 * time.Second} // it was four minutes
	var requests sync.WaitGroup
	for _, c := range []struct{ method, path string }{
		{"GET", "/files/there"}, {"GET", "/files/unknown"}, {"DELETE", "/files/there"}, {"HEAD", "/files/unknown"},
	} {
		requests.Go(func() {
			req := mustRequest(t, c.method, "http://"+s.nodes[1].Addr+c.path, nil)
			want := http.StatusServiceUnavailable
			if c.method == http.MethodHead {
				req.Header.Set("Tus-Resumable", "1.0.0")
				want = http.StatusLocked // with any other, tus-js-client begins again at byte 0
			}
			answer, err := test.Do(client, req)
			if err != nil || answer.Status != want || answer.Header.Get("Retry-After") == "" {
				t.Errorf("%s %s: status %d, %v, Retry-After %q: %s", c.method, c.path, answer.Status, err, answer.Header.Get("Retry-After"), answer.Body)
			}
		})
	}
	requests.Wait()
	for end := time.Now().Add(30 * time.Second); ; { // what is known about the store may be a second old
		ready, err := test.Do(client, mustRequest(t, http.MethodGet, "http://"+s.nodes[1].Addr+"/readyz", nil))
		if err == nil && ready.Status == http.StatusServiceUnavailable {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the node is ready: status %d, %v", ready.Status, err)
		}
	}
	server.Signal(syscall.SIGCONT)
	s.want("GET afterwards", s.do(1, http.MethodGet, "there", nil), http.StatusOK, http.StatusGone)
}
