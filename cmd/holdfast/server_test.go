package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/test/logs"
)

// patience is how long a test waits for a condition.
const patience = 30 * time.Second

// running is a Server on a free port that runs until the test ends, or stop is called.
type running struct {
	*Server
	log           *logBuffer
	beginShutdown context.CancelFunc // begins the shutdown
	ended         chan error         // what Run returned
}

func testConfig(t *testing.T) config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.Data = "127.0.0.1:0", t.TempDir()
	cfg.LogFormat, cfg.LogLevel = "json", "debug"
	return cfg
}

// start runs a Server. Its handler may be replaced by one that misbehaves.
func start(t *testing.T, cfg config.Config, handler http.Handler) *running {
	t.Helper()
	r := &running{log: &logBuffer{}, ended: make(chan error, 1)}
	log := newLog(r.log, cfg)
	var err error
	if r.Server, err = Open(cfg, log); err != nil {
		t.Fatal(err)
	}
	if handler != nil {
		r.http.Handler = handler
	}
	var ctx context.Context
	ctx, r.beginShutdown = context.WithCancel(context.Background())
	go func() { r.ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		r.beginShutdown()
		r.Close()
	})
	return r
}

// stop shuts the Server down and waits until it has.
func (r *running) stop(t *testing.T) {
	t.Helper()
	r.beginShutdown()
	r.wait(t)
}

func (r *running) wait(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Fatalf("Run: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Run does not end")
	}
}

// at is the URL of a path outside of the base path.
func (r *running) at(path string) string {
	return strings.TrimSuffix(r.URL(), r.cfg.BasePath) + path
}

// logBuffer keeps log lines for several goroutines.
type logBuffer struct{ logs.Buffer }

// find returns the first line with this message, nil if there is none.
func (b *logBuffer) find(message string) map[string]any {
	for line := range strings.Lines(b.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields[slog.MessageKey] == message {
			return fields
		}
	}
	return nil
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting for: %s", what)
		}
	}
}

// answer is a response that has been read to its end.
type answer struct {
	*http.Response
	body []byte
}

func do(t *testing.T, client *http.Client, method, url string, body io.Reader, header ...string) answer {
	t.Helper()
	a, err := try(t.Context(), client, method, url, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// try makes a request; the headers are given as name, value, name, value.
func try(ctx context.Context, client *http.Client, method, url string, body io.Reader, header ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Content-Length" {
			req.ContentLength, _ = strconv.ParseInt(header[i+1], 10, 64)
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp, text}, err
}

func randomBytes(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(p)
	return p
}

// h1 is a client of HTTP/1.1 with connections of its own.
func h1(t *testing.T) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestLogContainsTheAddress(t *testing.T) {
	r := start(t, testConfig(t), nil)
	var line map[string]any
	eventually(t, "the line in the log", func() bool { line = r.log.find("listening"); return line != nil })
	addr, _ := line["addr"].(string)
	a := do(t, h1(t), "GET", "http://"+addr+"/healthz", nil)
	if a.StatusCode != http.StatusOK || strings.TrimSpace(string(a.body)) != "ok" {
		t.Errorf("healthz at the logged address: %d %q", a.StatusCode, a.body)
	}
	if want := "http://" + addr + "/files/"; line["url"] != want {
		t.Errorf("the logged url is %v, want %s", line["url"], want)
	}
}

func TestReadyOnlyWhileTheStoreIs(t *testing.T) {
	r := start(t, testConfig(t), nil)
	ready := func() (status int, answered struct {
		Ready  bool
		Reason string
	}) {
		a := do(t, h1(t), "GET", r.at("/readyz"), nil)
		if err := json.Unmarshal(a.body, &answered); err != nil {
			t.Errorf("readyz answers %q: %v", a.body, err)
		}
		return a.StatusCode, answered
	}
	if status, answered := ready(); status != http.StatusOK || !answered.Ready {
		t.Errorf("at first: %d %+v", status, answered)
	}
	if err := os.RemoveAll(filepath.Join(r.cfg.Data, ".holdfast")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "readyz says that its directory is gone", func() bool { // the last result counts for a second
		status, answered := ready()
		return status == http.StatusServiceUnavailable && !answered.Ready && answered.Reason != ""
	})
	if a := do(t, h1(t), "GET", r.at("/healthz"), nil); a.StatusCode != http.StatusOK {
		t.Errorf("healthz with the store gone: %d, want 200 while the process lives", a.StatusCode)
	}
}

// With uploads at the root, an upload to a probe's path must not be answered with "ok".
func TestProbesAcceptNoUploads(t *testing.T) {
	cfg := testConfig(t)
	cfg.BasePath = "/"
	r := start(t, cfg, nil)
	for _, path := range []string{"/healthz", "/readyz"} {
		for _, method := range []string{"PUT", "POST", "PATCH", "DELETE"} {
			a := do(t, h1(t), method, r.at(path), strings.NewReader("bytes"))
			if a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "OPTIONS, GET, HEAD" {
				t.Errorf("%s %s: %s, Allow: %q", method, path, a.Status, a.Header.Get("Allow"))
			}
		}
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			if a := do(t, h1(t), method, r.at(path), nil); a.StatusCode != http.StatusOK {
				t.Errorf("%s %s: %s", method, path, a.Status)
			}
		}
	}
	if a := do(t, h1(t), "PUT", r.at("/other"), strings.NewReader("bytes")); a.StatusCode != http.StatusCreated {
		t.Errorf("an upload beside them: %s %s", a.Status, a.body)
	}
}

func TestOtherPathsNameTheBasePath(t *testing.T) {
	cfg := testConfig(t)
	cfg.BasePath = "/up/v1/"
	r := start(t, cfg, nil)
	for _, path := range []string{"/", "/files/x", "/up", "/up/v12", "/healthz/"} {
		a := do(t, h1(t), "GET", r.at(path), nil)
		if a.StatusCode != http.StatusNotFound || !strings.Contains(string(a.body), "/up/v1/") {
			t.Errorf("%s: %d %q", path, a.StatusCode, a.body)
		}
	}
}

// A client that omits the trailing slash gets no redirect: it would follow it with a GET.
func TestUploadsAreCreatedWithAndWithoutTheTrailingSlash(t *testing.T) {
	r := start(t, testConfig(t), nil)
	for _, path := range []string{"/files/", "/files"} {
		a := do(t, h1(t), "POST", r.at(path), nil, "Tus-Resumable", "1.0.0", "Upload-Length", "5")
		if a.StatusCode != http.StatusCreated || !strings.HasPrefix(a.Header.Get("Location"), r.URL()) {
			t.Errorf("POST %s: %s, Location %q", path, a.Status, a.Header.Get("Location"))
		}
	}
	if line := r.log.find("upload created"); line == nil || line["id"] == "" {
		t.Errorf("the log has no line for the creation: %v", line)
	}
}

func TestUploadCreatedWithOneProtocolFinishesWithTheOther(t *testing.T) {
	r := start(t, testConfig(t), nil)
	data := randomBytes(300_000)
	a := do(t, h1(t), "POST", r.URL(), nil, "Tus-Resumable", "1.0.0", "Upload-Length", "300000")
	url := a.Header.Get("Location")
	a = do(t, h1(t), "PUT", url, bytes.NewReader(data[100_000:]), "Content-Range", "bytes 100000-299999/300000")
	if a.StatusCode != http.StatusAccepted {
		t.Fatalf("PUT of the end: %s %s", a.Status, a.body)
	}
	a = do(t, h1(t), "PATCH", url, bytes.NewReader(data[:100_000]),
		"Tus-Resumable", "1.0.0", "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")
	if a.StatusCode != http.StatusNoContent || a.Header.Get("Upload-Offset") != "300000" {
		t.Errorf("PATCH of the beginning: %s %s, Upload-Offset %q", a.Status, a.body, a.Header.Get("Upload-Offset"))
	}
	if a = do(t, h1(t), "GET", url, nil); sha256.Sum256(a.body) != sha256.Sum256(data) {
		t.Errorf("GET: %s, %d bytes that are not those sent", a.Status, len(a.body))
	}
	if r.log.find("upload finished") == nil {
		t.Error("the log has no line for the finished upload")
	}
}

func TestInvalidSettingsFailAtStart(t *testing.T) {
	first := start(t, testConfig(t), nil)
	for name, c := range map[string]struct {
		change func(*config.Config)
		says   []string
	}{
		"data in use": {
			func(c *config.Config) { c.Data = first.cfg.Data }, []string{first.cfg.Data, "in use by another process"},
		},
		"address in use": {
			func(c *config.Config) { c.Listen = first.listener.Addr().String() }, []string{first.listener.Addr().String(), "in use"},
		},
		"admin address in use": {
			func(c *config.Config) { c.AdminListen = first.listener.Addr().String() }, []string{"--admin-listen", first.listener.Addr().String(), "in use"},
		},
		"data is a file": {
			func(c *config.Config) {
				c.Data = filepath.Join(c.Data, "file")
				if err := os.WriteFile(c.Data, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}, []string{"data directory"},
		},
		"no certificate": {
			func(c *config.Config) { c.TLSCert, c.TLSKey = "no/cert.pem", "no/key.pem" }, []string{"certificate", "no/cert.pem"},
		},
	} {
		cfg := testConfig(t)
		c.change(&cfg)
		s, err := Open(cfg, slog.New(slog.DiscardHandler))
		if err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
			continue
		}
		for _, word := range c.says {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not say %q", name, err, word)
			}
		}
	}
}

func TestFailedStartClosesTheStore(t *testing.T) {
	first := start(t, testConfig(t), nil)
	cfg := testConfig(t)
	cfg.Listen = first.listener.Addr().String()
	if _, err := Open(cfg, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("the address could be used twice")
	}
	cfg.Listen, cfg.AdminListen = "127.0.0.1:0", first.listener.Addr().String()
	if _, err := Open(cfg, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("the address could be used twice, as that of admin")
	}
	cfg.AdminListen = ""
	start(t, cfg, nil).stop(t)
}

func TestNotReadyDuringShutdown(t *testing.T) {
	r := start(t, testConfig(t), nil)
	r.Drain(t.Context())
	a := do(t, h1(t), "GET", r.at("/readyz"), nil)
	if a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(a.body), problem.ErrShuttingDown.Error()) {
		t.Errorf("readyz: %s %q", a.Status, a.body)
	}
}
