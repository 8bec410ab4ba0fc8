package test

import (
	"encoding/base64"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test/ports"
)

// behindNginx runs nginx with docker/nginx.conf in front of the servers, and returns its
// URL of uploads. As the head of that file says, an nginx older than 1.27.3 gets the
// addresses of the nodes.
func behindNginx(t *testing.T, nodes ...*Server) string {
	t.Helper()
	text, err := os.ReadFile("../docker/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	addr, err := ports.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	var servers strings.Builder
	for _, s := range nodes {
		servers.WriteString("server " + s.Addr + " max_fails=1 fail_timeout=5s;\n")
	}
	dir := t.TempDir()
	replace := func(pattern, with string) {
		t.Helper()
		expr := regexp.MustCompile(pattern)
		if !expr.Match(text) {
			t.Fatalf("docker/nginx.conf has no %s", pattern)
		}
		text = expr.ReplaceAllLiteral(text, []byte(with))
	}
	replace(`resolver [^;]*;`, "")
	replace(`server node:8080 [^;]*;`, servers.String())
	replace(`listen 8080;`, "listen "+addr+";")
	replace(`/dev/std(out|err)`, filepath.Join(dir, "log"))
	replace(`/run/nginx.pid`, filepath.Join(dir, "pid"))
	replace(`server_tokens off;`, "server_tokens off;\nclient_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;")
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, text, 0o600); err != nil {
		t.Fatal(err)
	}
	runNginx(t, dir, conf, addr)
	return "http://" + addr + "/files/"
}

func runNginx(t *testing.T, dir, conf, addr string) {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		path = "/usr/sbin/nginx" // where Debian has it, outside of a user's PATH
	}
	cmd := exec.Command(path, "-p", dir, "-c", conf, "-g", "daemon off;")
	out, err := os.Create(filepath.Join(dir, "output")) // not a pipe, which its workers would keep open
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatalf("nginx is not installed; .ci/run installs it: %v", err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended; otherwise it ends its workers
		<-exited
		for _, name := range []string{"output", "log"} {
			if text, _ := os.ReadFile(filepath.Join(dir, name)); t.Failed() {
				t.Logf("nginx: %s", tail(string(text), 2000))
			}
		}
	})
	eventually(t, 30*time.Second, "nginx listens", func() bool {
		select {
		case <-exited:
			t.Fatal("nginx ended")
		default:
		}
		resp, err := http.Get("http://" + addr + "/healthz")
		if err != nil {
			return false
		}
		_, err = ReadAnswer(resp)
		return err == nil && resp.StatusCode == http.StatusOK
	})
}

// F33: responses with the longest metadata, and those of the longest concatenation, pass
// nginx. They would take the nodes out of service for everyone otherwise.
func TestF33LongMetadataAndConcatenationsPassNginx(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--ticket-ttl", "1h")
	base := behindNginx(t, s)
	anna := Bearer(Token("anna"))
	long := "Upload-Metadata: note " + base64.StdEncoding.EncodeToString(make([]byte, 48*kib-6))
	create := func(fields ...string) string {
		t.Helper()
		location := ask(t, http.MethodPost, base, nil, append(fields, tusVersion, anna), 201).Header.Get("Location")
		if !strings.HasPrefix(location, base) {
			t.Fatalf("Location %q does not lie below %s", location, base)
		}
		return location
	}
	var parts []string
	for range 125 {
		parts = append(parts, create("Upload-Concat: partial", "Upload-Length: 0"))
	}
	final := "Upload-Concat: final;" + strings.Join(slices.Repeat(parts, 8), " ")
	if len(final) < 200*kib {
		t.Fatalf("the header has only %d bytes: are there tickets?", len(final))
	}
	for name, url := range map[string]string{"metadata": create(long, "Upload-Length: 10"), "concatenation": create(final, long)} {
		for range 3 {
			a := ask(t, http.MethodHead, url, nil, []string{tusVersion, anna}, 200)
			if len(a.Header.Get("Upload-Metadata")) < 60*kib || name == "concatenation" && len(a.Header.Get("Upload-Concat")) < 50*kib {
				t.Errorf("%s: %d bytes of metadata and %d of parts pass", name, len(a.Header.Get("Upload-Metadata")), len(a.Header.Get("Upload-Concat")))
			}
		}
	}
	ask(t, http.MethodPut, base+"other", strings.NewReader("bytes"), []string{anna}, 201)
}

// A whole upload and its download pass through nginx and two nodes, and while none answers
// the client is to retry.
func TestUploadsPassNginxInChunks(t *testing.T) {
	t.Parallel()
	s := start(t)
	url := behindNginx(t, s) + "film"
	content := NewContent(33, 5*mib)
	c := &Client{HTTP: http.DefaultClient, URL: url, Content: content}
	chunks := content.Chunks(mib)
	for _, r := range chunks[1:] {
		put(t, c, r, 202)
	}
	s.Kill()
	a, err := Do(http.DefaultClient, request(t, http.MethodHead, url, nil, tusVersion))
	if err != nil || a.Status != http.StatusLocked || a.Header.Get("Retry-After") == "" {
		t.Errorf("a HEAD while no node answers: %+v, %v", a, err)
	}
	wantLater(t, put(t, c, chunks[0], 503))
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutUntilTaken(t.Context(), chunks[0]); err != nil {
		t.Fatal(err)
	}
	wantFile(t, url, content)
}
