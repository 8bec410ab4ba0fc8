package test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test/ports"
)

// frontProxy is a proxy that docker/ has an example configuration for.
type frontProxy struct {
	name, config string
	// from and to change what the example has of the compose file: addresses.
	replace func(listen, node string) []string
	argv    func(config string) []string
}

var frontProxies = []frontProxy{
	{
		"HAProxy", "haproxy.cfg",
		func(listen, node string) []string {
			return []string{"bind :8080", "bind " + listen,
				"server-template node 1-10 node:8080 resolvers docker init-addr none", "server node " + node}
		},
		func(config string) []string { return []string{"haproxy", "-db", "-f", config} },
	},
	{
		"Caddy", "Caddyfile",
		func(listen, node string) []string {
			return []string{":8080 {", "{\n\tadmin off\n\tauto_https off\n}\nhttp://" + listen + " {", "dynamic a node 8080", "to " + node}
		},
		func(config string) []string {
			return []string{"caddy", "run", "--adapter", "caddyfile", "--config", config}
		},
	},
}

// front starts the proxy before a server until the test ends, and returns its address.
func (p frontProxy) front(t *testing.T, s *Server) string {
	t.Helper()
	text, err := os.ReadFile("../docker/" + p.config)
	if err != nil {
		t.Fatal(err)
	}
	listen, err := ports.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	pairs := p.replace(listen, s.Addr)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(text), pairs[i]) {
			t.Fatalf("docker/%s has no %q", p.config, pairs[i])
		}
	}
	config := filepath.Join(t.TempDir(), p.config)
	if err := os.WriteFile(config, []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	argv := p.argv(config)
	var log serverLog
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", p.name, tail(log.String(), 4000))
		}
	})
	return listen
}

// until asks until there is an answer with this status.
func until(t *testing.T, method, url string, want int) Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		var answer Answer
		req, err := http.NewRequestWithContext(ctx, method, url, nil)
		if err == nil {
			answer, err = Do(http.DefaultClient, req)
		}
		if err == nil && answer.Status == want {
			return answer
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s %s: %v, status %d, want %d", method, url, err, answer.Status, want)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// The proxies that docker/ configures pass on what holdfast needs: headers of 64 KiB, interim
// responses, bodies as they come; they overwrite what clients claim of their address, and
// ask clients to come again while there is no node.
func TestProxiesOfTheExamplesPassUploadsOn(t *testing.T) {
	t.Parallel()
	for _, p := range frontProxies {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			addr := p.front(t, s)
			url := "http://" + addr + "/files/"
			until(t, "GET", "http://"+addr+"/healthz", 200)

			forged := []string{"X-Forwarded-Host: evil.example", "X-Forwarded-Proto: gopher", "Forwarded: host=evil.example"}
			large := "Upload-Metadata: filename " + base64Of(strings.Repeat("n", 45_000))
			created := ask(t, "POST", url, nil, append(forged, tusVersion, "Upload-Length: 5", large), 201)
			if at := created.Header.Get("Location"); !strings.HasPrefix(at, url) {
				t.Errorf("Location %q, want below %s", at, url)
			}

			wantStreamed(t, s, addr)
			content := NewContent(7, 3*mib)
			putFile(t, url+"large", content, 201)
			wantFile(t, s.URL("large"), content)

			s.Kill()
			until(t, "HEAD", url+"whole", 423)
			if a := until(t, "GET", url+"whole", 503); a.Header.Get("Retry-After") == "" || a.Header.Get("Tus-Resumable") == "" {
				t.Errorf("no node, and the answer has no Retry-After: %v", a.Header)
			}
		})
	}
}

// wantStreamed begins an upload through the proxy and breaks it off: its URL is announced
// before its body, and what was sent arrives, however short the upload was.
func wantStreamed(t *testing.T, s *Server, addr string) {
	t.Helper()
	for wait := 100 * time.Millisecond; wait < 30*time.Second; wait *= 2 {
		w := dial(t, addr)
		w.send("PUT /files/whole HTTP/1.1", "Host: "+addr, "Content-Length: 1000", "Upload-Draft-Interop-Version: 6", "Upload-Complete: ?1")
		if a := w.answer(); a.Status != 104 || a.Header.Get("Location") != "http://"+addr+"/files/whole" {
			t.Fatalf("status %d, Location %q before the body", a.Status, a.Header.Get("Location"))
		}
		w.write(strings.Repeat("x", 400))
		time.Sleep(wait) // a proxy drops what it has not passed on when the connection is reset
		w.reset()
		time.Sleep(wait)
		a := ask(t, "GET", s.URL("whole"), nil, []string{"Accept: application/json"}, 200)
		if strings.Contains(string(a.Body), `"received":["0-399"]`) {
			return
		}
	}
	t.Error("what was sent of a body does not arrive")
}
