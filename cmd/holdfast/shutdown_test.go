package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/config"
)

// slow is an upload of which only the beginning has been sent.
type slow struct {
	rest     *io.PipeWriter
	answered chan answer
	failed   chan error
}

// sendPart starts a request for all of data and sends the first part of it.
func sendPart(t *testing.T, client *http.Client, method, url string, data []byte, part int, header ...string) *slow {
	t.Helper()
	body, rest := io.Pipe()
	s := &slow{rest: rest, answered: make(chan answer, 1), failed: make(chan error, 1)}
	header = append(header, "Content-Length", strconv.Itoa(len(data)))
	go func() {
		a, err := try(t.Context(), client, method, url, body, header...)
		if err != nil {
			s.failed <- err
			return
		}
		s.answered <- a
	}()
	if _, err := rest.Write(data[:part]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rest.CloseWithError(errors.New("the test is over")) })
	return s
}

func (s *slow) answer(t *testing.T) answer {
	t.Helper()
	select {
	case a := <-s.answered:
		return a
	case err := <-s.failed:
		t.Fatalf("no answer: %v", err)
	case <-time.After(patience):
		t.Fatal("no answer in time")
	}
	panic("unreachable")
}

// F17: on shutdown the bytes received are stored and the client is asked to retry, with every
// protocol and HTTP version; the next process resumes the upload.
func TestShutdownStoresReceivedBytes(t *testing.T) {
	const total, first, part = 1_000_000, 400_000, 600_001
	data := randomBytes(total)
	patch := []string{"Tus-Resumable", "1.0.0", "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream"}
	for name, c := range map[string]struct {
		client func(*testing.T) *http.Client
		method string
		header []string
	}{
		"PUT over HTTP/1.1":   {h1, "PUT", []string{"Content-Range", "bytes 0-999999/1000000"}},
		"PUT over HTTP/2":     {h2c, "PUT", []string{"Content-Range", "bytes 0-999999/1000000"}},
		"PATCH over HTTP/1.1": {h1, "PATCH", patch},
		"PATCH over HTTP/2":   {h2c, "PATCH", patch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t)
			cfg.ShutdownTimeout = 8 * time.Second
			r := start(t, cfg, nil)
			created := do(t, h1(t), "POST", r.URL(), nil, "Tus-Resumable", "1.0.0", "Upload-Length", "1000000")
			url := created.Header.Get("Location")
			id := strings.TrimPrefix(url, r.URL())
			upload := sendPart(t, c.client(t), c.method, url, data, first, c.header...)
			eventually(t, "the request runs", func() bool { return receives(r, id) })
			if _, err := upload.rest.Write(data[first:part]); err != nil {
				t.Fatal(err)
			}

			began := time.Now()
			r.beginShutdown()
			eventually(t, "readyz says no", func() bool { return readyStatus(r) == http.StatusServiceUnavailable })
			a := upload.answer(t)
			if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
				t.Errorf("answered %s, Retry-After %q: %s", a.Status, a.Header.Get("Retry-After"), a.body)
			}
			if took := time.Since(began); took < cfg.ShutdownTimeout/2-100*time.Millisecond {
				t.Errorf("aborted after %s, before half of %s was over", took, cfg.ShutdownTimeout)
			}
			r.wait(t)
			if took := time.Since(began); took > cfg.ShutdownTimeout {
				t.Errorf("the shutdown took %s of at most %s", took, cfg.ShutdownTimeout)
			}
			finishElsewhere(t, cfg, id, data, part)
		})
	}
}

func receives(r *running, id string) bool {
	up, err := r.Uploads().Get(context.Background(), id)
	return err == nil && !up.Received.Empty()
}

// readyStatus calls readyz without a connection: a server accepts none during shutdown.
func readyStatus(r *running) int {
	rec := httptest.NewRecorder()
	r.http.Handler.ServeHTTP(rec, httptest.NewRequest("GET", "/readyz", nil))
	return rec.Code
}

// finishElsewhere starts the next process and sends it the rest of the upload.
func finishElsewhere(t *testing.T, cfg config.Config, id string, data []byte, part int) {
	t.Helper()
	next := start(t, cfg, nil)
	a := do(t, h1(t), "HEAD", next.URL()+id, nil, "Tus-Resumable", "1.0.0")
	if got := a.Header.Get("Upload-Offset"); got != strconv.Itoa(part) {
		t.Fatalf("after the restart Upload-Offset is %q, want the %d bytes that arrived", got, part)
	}
	a = do(t, h1(t), "PATCH", next.URL()+id, bytes.NewReader(data[part:]),
		"Tus-Resumable", "1.0.0", "Upload-Offset", strconv.Itoa(part), "Content-Type", "application/offset+octet-stream")
	if a.StatusCode != http.StatusNoContent {
		t.Fatalf("the rest: %s %s", a.Status, a.body)
	}
	if a = do(t, h1(t), "GET", next.URL()+id, nil); sha256.Sum256(a.body) != sha256.Sum256(data) {
		t.Errorf("GET: %s, %d bytes that are not those sent", a.Status, len(a.body))
	}
}

func TestRequestMayCompleteDuringShutdown(t *testing.T) {
	data := randomBytes(100_000)
	r := start(t, testConfig(t), nil)
	upload := sendPart(t, h1(t), "PUT", r.URL()+"photo", data, 50_000)
	eventually(t, "the upload is there", func() bool { return r.log.find("upload created") != nil })
	r.beginShutdown()
	eventually(t, "readyz says no", func() bool { return readyStatus(r) == http.StatusServiceUnavailable })
	if _, err := upload.rest.Write(data[50_000:]); err != nil {
		t.Fatal(err)
	}
	upload.rest.Close()
	if a := upload.answer(t); a.StatusCode != http.StatusCreated {
		t.Errorf("answered %s %s", a.Status, a.body)
	}
	r.wait(t)
	if got, err := os.ReadFile(r.cfg.Data + "/photo"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the file has %d bytes, %v", len(got), err)
	}
}

func TestShutdownWithoutRequestsIsQuick(t *testing.T) {
	r := start(t, testConfig(t), nil)
	do(t, h1(t), "GET", r.at("/healthz"), nil) // leaves an idle connection
	do(t, h2c(t), "GET", r.at("/healthz"), nil)
	began := time.Now()
	r.stop(t)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

// A request that cannot be aborted does not delay the shutdown beyond the timeout.
func TestShutdownTimeoutIsHonoured(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	cfg := testConfig(t)
	cfg.ShutdownTimeout = 500 * time.Millisecond
	r := start(t, cfg, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	}))
	go func() { _, _ = try(context.WithoutCancel(t.Context()), h1(t), "GET", r.at("/"), nil) }()
	<-entered
	began := time.Now()
	r.stop(t)
	if took := time.Since(began); took > cfg.ShutdownTimeout+patience/2 {
		t.Errorf("the shutdown took %s of at most %s", took, cfg.ShutdownTimeout)
	}
}

// A collector that does not answer delays the end of a server whose listener has failed no
// longer than the timeout either.
func TestAServerWithoutListenerDoesNotWaitForACollector(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "600000") // milliseconds: the spans go out at the end
	t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", "600000")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600000")
	asked := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(asked)
		<-r.Context().Done()
	}))
	defer func() { collector.CloseClientConnections(); collector.Close() }()
	cfg := testConfig(t)
	cfg.ShutdownTimeout, cfg.OTLPEndpoint, cfg.OTLPSample = 500*time.Millisecond, collector.URL, 1
	r := start(t, cfg, nil)
	do(t, h1(t), "PUT", r.at("/files/photo"), strings.NewReader("photo"))
	if err := r.listener.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.ended:
		if err == nil || !strings.Contains(err.Error(), "serve: ") {
			t.Errorf("Run: %v, want why it does not serve", err)
		}
	case <-time.After(patience):
		t.Error("Run does not end")
	}
	<-asked
}
