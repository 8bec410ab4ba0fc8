package test

import (
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// traced leads an upload through a server that sends its traces to c, ends the server,
// and returns the upload's id.
func traced(t *testing.T, s *Server, fields ...string) (id string) {
	t.Helper()
	fields = append(fields, secrets...)
	query := "?ticket=s3cret-query"
	created := ask(t, http.MethodPost, s.URL("")+query, nil, append(fields, tusVersion, "Upload-Length: 2000"), http.StatusCreated)
	url := created.Header.Get("Location")
	patchAtTus(t, url+query, strings.NewReader(strings.Repeat("a", 1000)), 0, fields...)
	put := append(fields, "Content-Range: bytes 1000-1999/2000")
	ask(t, http.MethodPut, url+query, strings.NewReader(strings.Repeat("b", 1000)), put, http.StatusCreated)
	ask(t, http.MethodGet, s.URL("never-was")+query, nil, fields, http.StatusNotFound)
	ask(t, "BREW", url+query, nil, fields, http.StatusMethodNotAllowed)
	leave(t, s)
	return path.Base(url)
}

// leave ends the server, which is to send what it has of traces before.
func leave(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Terminate(10 * time.Second); err != nil {
		t.Fatal(err)
	}
}

// top is the one span of a request.
func (c *otlp) top(t *testing.T, name string) *trace.Span {
	t.Helper()
	found := c.named(name)
	if len(found) != 1 {
		t.Fatalf("%d spans are called %q", len(found), name)
	}
	if found[0].GetKind() != trace.Span_SPAN_KIND_SERVER {
		t.Errorf("%q is of kind %v", name, found[0].GetKind())
	}
	return found[0]
}

func TestTraceOfARequestReachesFromTheHandlerToTheStore(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	app := startApp(t)
	id := traced(t, start(t, "--otlp-endpoint", c.URL, "--otlp-service", "uploads-test",
		"--hook-url", app.URL(), "--hook-secret", HookSecret, "--hook-events", "pre-create,post-finish"))
	if len(c.wrong) > 0 || c.service != "uploads-test" {
		t.Errorf("the service is %q; wrong requests: %v", c.service, c.wrong)
	}
	c.top(t, "_OTHER") // which is for no protocol
	post, patch, put, get := c.top(t, "POST tus"), c.top(t, "PATCH tus"), c.top(t, "PUT content-range"), c.top(t, "GET content-range")
	c.wantTree(t, post, id, "create/store create", "create/ask pre-create")
	c.wantTree(t, patch, id, "lock", "write/store write")
	c.wantTree(t, put, id, "write/store write", "write/finish/store finish", "write/deliver")
	c.wantTree(t, get, "never-was", "store load")
	for _, s := range []*trace.Span{post, patch, put} {
		if got := attribute(s, "holdfast.upload.id"); got != id || len(s.GetParentSpanId()) != 0 {
			t.Errorf("%s is for the upload %q, below %x; want %q, below nothing", s.GetName(), got, s.GetParentSpanId(), id)
		}
	}
	if len(c.under(patch, "finish")) > 0 {
		t.Error("a write that was not the last one finished the upload")
	}
	if attribute(put, "holdfast.outcome") != "finished" || attribute(get, "holdfast.outcome") != "refused" {
		t.Errorf("outcomes %q, %q", attribute(put, "holdfast.outcome"), attribute(get, "holdfast.outcome"))
	}
	if c.raw.Len() == 0 || strings.Contains(c.raw.String(), "s3cret") || strings.Contains(c.raw.String(), "ticket") {
		t.Error("a secret of a request is in its trace")
	}
}

func TestTraceOnS3NamesEachRequestToIt(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	s, _, _ := startOnS3(t, "--otlp-endpoint", c.URL+"/")
	content := NewContent(8, 40*mib)
	for i, r := range content.Chunks(25 * mib) {
		put(t, newClient(s, "large", content), r, []int{http.StatusAccepted, http.StatusCreated}[i])
	}
	leave(t, s)
	puts := c.named("PUT content-range")
	if len(puts) != 2 {
		t.Fatalf("%d spans of a PUT, want 2", len(puts))
	}
	c.wantTree(t, puts[0], "large", "create/store create/s3 PutObject", "create/redis begin", "write/store write/s3 UploadPart",
		"write/store write/s3 CreateMultipartUpload", "write/redis add")
	c.wantTree(t, puts[1], "large", "write/store write/s3 UploadPart", "write/finish/store finish/s3 CompleteMultipartUpload")
	if strings.Contains(c.raw.String(), "uploadId") || strings.Contains(c.raw.String(), "Credential") {
		t.Error("the query or the signature of a request to S3 is in a trace")
	}
	for _, s := range c.named("s3 UploadPart") {
		if s.GetKind() != trace.Span_SPAN_KIND_CLIENT {
			t.Errorf("%q is of kind %v", s.GetName(), s.GetKind())
		}
	}
}

const (
	foreignTrace = "0af7651916cd43dd8448eb211c80319c"
	foreignSpan  = "b7ad6b7169203331"
)

func TestAClientsTraceIsContinuedOnlyIfProxiesAreTrusted(t *testing.T) {
	t.Parallel()
	for _, trust := range []bool{true, false} {
		c := startCollector(t)
		flag := map[bool]string{true: "--trust-forwarded-headers", false: "--no-trust-forwarded-headers"}[trust]
		traced(t, start(t, "--otlp-endpoint", c.URL, flag), "traceparent: 00-"+foreignTrace+"-"+foreignSpan+"-01")
		s := c.top(t, "PATCH tus")
		joined := hex.EncodeToString(s.GetTraceId()) == foreignTrace && hex.EncodeToString(s.GetParentSpanId()) == foreignSpan
		if joined != trust {
			t.Errorf("%s: the trace is %x below %x", flag, s.GetTraceId(), s.GetParentSpanId())
		}
		if !trust && len(s.GetParentSpanId()) > 0 {
			t.Errorf("%s: a parent that was not believed: %x", flag, s.GetParentSpanId())
		}
	}
}

func TestShareOfRequestsThatIsTracedIsKept(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	s := start(t, "--otlp-endpoint", c.URL, "--otlp-sample", "0.25")
	for range 400 {
		ask(t, http.MethodGet, s.URL("never-was"), nil, nil, http.StatusNotFound)
	}
	leave(t, s)
	if n := len(c.named("GET content-range")); n < 40 || n > 180 {
		t.Errorf("%d of 400 requests were traced, want about 100", n)
	}
}

// The last traces are waited for no longer than all else.
func TestCollectorThatHangsDoesNotKeepTheServer(t *testing.T) {
	t.Parallel()
	hang, asked := make(chan struct{}), make(chan struct{}, 100)
	c := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-hang
	}))
	t.Cleanup(c.Close)
	t.Cleanup(func() { close(hang) })
	s := start(t, "--otlp-endpoint", c.URL, "--shutdown-timeout", "2s")
	ask(t, http.MethodPut, s.URL("it"), strings.NewReader("hello"), nil, http.StatusCreated)
	if err := s.Terminate(6 * time.Second); err != nil {
		t.Error(err)
	}
	select {
	case <-asked:
	default:
		t.Error("the collector was not asked to take the last traces")
	}
}

func TestCollectorThatIsNotThereHarmsNothing(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	c.Close()
	s := start(t, "--otlp-endpoint", c.URL, "--shutdown-timeout", "3s")
	ask(t, http.MethodPut, s.URL("it"), strings.NewReader("hello"), nil, http.StatusCreated)
	leave(t, s)
}
