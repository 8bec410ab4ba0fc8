package test

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var ietfCuts = flag.Int("ietf-cuts", 12, "cut connections in all of the simulated upload tasks")

// overTLS is a client for HTTP/2 that trusts a test's server only.
func overTLS(t *testing.T, roots *x509.CertPool) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// taskCuts breaks up to n connections, after some mebibytes of content or in an answer; it
// calls broken for each that breaks in content.
func taskCuts(random *rand.Rand, n int, broken func()) func() Cut {
	var mu sync.Mutex
	return func() Cut {
		mu.Lock()
		defer mu.Unlock()
		if n--; n < 0 {
			return Never
		}
		reset := random.IntN(2) == 0
		if random.IntN(8) == 0 {
			return Cut{After: random.Int64N(4000), Answer: true, Reset: reset}
		}
		return Cut{After: 4*mib + random.Int64N(8*mib), Reset: reset, First: broken}
	}
}

func TestIETFURLSessionGetsItsFileThroughCuts(t *testing.T) {
	t.Parallel()
	cert, key, roots := selfSigned(t)
	s := start(t, "--tls-cert", cert, "--tls-key", key)
	var cuts, sent, stored atomic.Int64
	t.Run("all", func(t *testing.T) {
		for n, version := range []int{3, 5, 6, 8} {
			t.Run(fmt.Sprint("interop ", version), func(t *testing.T) {
				t.Parallel()
				size := int64(1 + *ietfCuts/4*8*mib)
				proxy := proxied(t, s, taskCuts(rand.New(rand.NewPCG(60, uint64(version))), *ietfCuts/4, nil))
				u := &URLSession{HTTP: overTLS(t, roots), URL: "https://" + proxy.Addr + "/files/", Version: version, Proto: 2,
					Content: NewContent(uint64(60+n), size), Header: http.Header{"Content-Type": {"video/mp4"}}}
				answer, err := u.Run(t.Context())
				if err != nil || answer.Status != http.StatusCreated {
					t.Fatalf("%v, status %d: %s", err, answer.Status, answer.Body)
				}
				u.HTTP.CloseIdleConnections()
				proxy.Close()
				wantFileOver(t, u.HTTP, s, idOf(u.Upload()), u.Content)
				cuts.Add(proxy.Cuts())
				sent.Add(proxy.Sent())
				stored.Add(size)
			})
		}
	})
	ratio := float64(sent.Load()) / float64(stored.Load())
	fmt.Printf("upload tasks over HTTP/2 and TLS: %d cuts, %d MiB, %.3f bytes sent for each byte stored\n", cuts.Load(), stored.Load()/mib, ratio)
	if ratio > 1.2 {
		t.Errorf("%.3f bytes were sent for each byte stored", ratio)
	}
}

// wantFileOver demands that the finished upload is the content, by a client of its own.
func wantFileOver(t *testing.T, client *http.Client, s *Server, id string, content Content) {
	t.Helper()
	resp, err := client.Get("https://" + s.Addr + "/files/" + id)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if sum, n, err := Sum(resp.Body); err != nil || sum != content.Sum() {
		t.Errorf("the file is not what was sent: %d bytes, %v", n, err)
	}
}

// The server is killed in the middle of a task, again and again.
func TestIETFURLSessionGetsItsFileThroughKills(t *testing.T) {
	t.Parallel()
	cert, key, roots := selfSigned(t)
	s := start(t, "--tls-cert", cert, "--tls-key", key)
	kills := make(chan struct{}, 10)
	proxy := proxied(t, s, taskCuts(rand.New(rand.NewPCG(61, 1)), 3, func() {
		s.Kill()
		kills <- struct{}{}
		if err := s.Start(); err != nil {
			t.Error(err)
		}
	}))
	u := &URLSession{HTTP: overTLS(t, roots), URL: "https://" + proxy.Addr + "/files/", Version: 6, Proto: 2,
		Content: NewContent(61, 40*mib), PerMiB: 50 * time.Millisecond}
	answer, err := u.Run(t.Context())
	if err != nil || answer.Status != http.StatusCreated {
		t.Fatalf("%v, status %d: %s", err, answer.Status, answer.Body)
	}
	u.HTTP.CloseIdleConnections()
	proxy.Close()
	wantFileOver(t, u.HTTP, s, idOf(u.Upload()), u.Content)
	fmt.Printf("an upload task and %d kills: %.3f bytes sent for each byte stored\n", len(kills), float64(proxy.Sent())/float64(u.Content.Size))
}
