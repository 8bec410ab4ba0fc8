package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	schema "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/holdfast-upload/holdfast/storage/tracing/otlp"
	"github.com/holdfast-upload/holdfast/test/otlpjson"
)

// collector keeps the spans it gets. It gives the answers in their order, and then 200.
type collector struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	answers  []func(http.ResponseWriter)
	requests []*http.Request
	arrived  []time.Time
	data     []*schema.TracesData
}

func start(t *testing.T, answers ...func(http.ResponseWriter)) *collector {
	c := &collector{t: t, answers: answers}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests, c.arrived = append(c.requests, r), append(c.arrived, time.Now())
	if n := len(c.requests); n <= len(c.answers) {
		c.answers[n-1](w)
		return
	}
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		c.t.Error(err)
	}
	data, err := otlpjson.Decode(text)
	if err != nil {
		c.t.Errorf("%v: %s", err, text)
	}
	c.data = append(c.data, data)
}

// answer returns an answer with this status and body, and with headers name, value.
func answer(status int, body string, header ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// export sends what begin begins to a collector, and returns the log.
func export(t *testing.T, url string, begin func(trace.Tracer)) (log string) {
	t.Helper()
	var text bytes.Buffer
	e, err := otlp.New(otlp.Options{Endpoint: url, Service: "uploads", Version: "v1", Sample: 1, Log: slog.New(slog.NewTextHandler(&text, nil))})
	if err != nil {
		t.Fatal(err)
	}
	begin(e.Tracer())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	e.Close(ctx)
	return text.String()
}

// one begins and ends one span.
func one(tracer trace.Tracer) {
	_, span := tracer.Start(context.Background(), "one")
	span.End()
}

// spans returns what was received, of one request.
func (c *collector) spans(t *testing.T) []*schema.Span {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.data) != 1 || len(c.data[0].GetResourceSpans()) != 1 || len(c.data[0].GetResourceSpans()[0].GetScopeSpans()) != 1 {
		t.Fatalf("received %v", c.data)
	}
	return c.data[0].GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()
}

func TestSpansArriveAsTheSchemaHasThem(t *testing.T) {
	c := start(t)
	remote := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, 0xab}, SpanID: trace.SpanID{2, 0xcd}, TraceFlags: trace.FlagsSampled, Remote: true})
	at := time.Unix(1, 2)
	var local trace.SpanContext
	export(t, c.URL, func(tracer trace.Tracer) {
		ctx, outer := tracer.Start(trace.ContextWithSpanContext(context.Background(), remote), "outer",
			trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(at), trace.WithLinks(trace.Link{SpanContext: remote}))
		local = outer.SpanContext()
		outer.SetAttributes(
			attribute.String("text", "a\"b\u2028"), attribute.Bool("yes", true), attribute.Int64("large", math.MinInt64), attribute.Float64("half", 0.5),
			attribute.Float64("none", math.NaN()), attribute.Float64("most", math.Inf(1)), attribute.Float64("least", math.Inf(-1)),
			attribute.StringSlice("texts", []string{"a", ""}), attribute.BoolSlice("bools", []bool{false}), attribute.Int64Slice("ints", []int64{1 << 60}), attribute.Float64Slice("halves", []float64{0.5}),
		)
		outer.AddEvent("came", trace.WithTimestamp(at), trace.WithAttributes(attribute.Int("n", 3)))
		_, inner := tracer.Start(ctx, "inner")
		inner.SetStatus(codes.Error, "failed")
		inner.End()
		outer.SetStatus(codes.Ok, "")
		outer.End(trace.WithTimestamp(at.Add(time.Hour)))
	})
	spans := c.spans(t)
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	inner, outer := spans[0], spans[1]
	if got := trace.SpanID(inner.GetParentSpanId()); got != local.SpanID() || inner.GetFlags() != 0x101 || inner.GetStatus().GetMessage() != "failed" || inner.GetStatus().GetCode() != schema.Status_STATUS_CODE_ERROR {
		t.Errorf("the inner span: %v", inner)
	}
	wantSpan(t, outer, local, remote)
	resource := c.data[0].GetResourceSpans()[0].GetResource().GetAttributes()
	if len(resource) != 3 || resource[1].GetKey() != "service.name" || resource[1].GetValue().GetStringValue() != "uploads" {
		t.Errorf("the resource: %v", resource)
	}
}

// wantSpan checks the outer span of TestSpansArriveAsTheSchemaHasThem.
func wantSpan(t *testing.T, got *schema.Span, is, parent trace.SpanContext) {
	t.Helper()
	if trace.TraceID(got.GetTraceId()) != is.TraceID() || trace.SpanID(got.GetSpanId()) != is.SpanID() || trace.SpanID(got.GetParentSpanId()) != parent.SpanID() {
		t.Errorf("ids: %v", got)
	}
	if got.GetStartTimeUnixNano() != 1_000_000_002 || got.GetEndTimeUnixNano() != 3601_000_000_002 || got.GetKind() != schema.Span_SPAN_KIND_SERVER ||
		got.GetFlags() != 0x301 || got.GetStatus().GetCode() != schema.Status_STATUS_CODE_OK {
		t.Errorf("the outer span: %v", got)
	}
	values := map[string]string{}
	for _, a := range got.GetAttributes() {
		values[a.GetKey()] = strings.NewReplacer(" ", "", "\n", "").Replace(protojson.Format(a.GetValue()))
	}
	for key, want := range map[string]string{
		"text": "{\"stringValue\":\"a\\\"b\u2028\"}", "yes": `{"boolValue":true}`, "large": `{"intValue":"-9223372036854775808"}`, "half": `{"doubleValue":0.5}`,
		"none": `{"doubleValue":"NaN"}`, "most": `{"doubleValue":"Infinity"}`, "least": `{"doubleValue":"-Infinity"}`,
		"texts": `{"arrayValue":{"values":[{"stringValue":"a"},{"stringValue":""}]}}`, "bools": `{"arrayValue":{"values":[{"boolValue":false}]}}`,
		"ints": `{"arrayValue":{"values":[{"intValue":"1152921504606846976"}]}}`, "halves": `{"arrayValue":{"values":[{"doubleValue":0.5}]}}`,
	} {
		if values[key] != want {
			t.Errorf("%s is %s, want %s", key, values[key], want)
		}
	}
	events, links := got.GetEvents(), got.GetLinks()
	if len(events) != 1 || events[0].GetName() != "came" || events[0].GetTimeUnixNano() != 1_000_000_002 || events[0].GetAttributes()[0].GetValue().GetIntValue() != 3 {
		t.Errorf("events: %v", events)
	}
	if len(links) != 1 || trace.SpanID(links[0].GetSpanId()) != parent.SpanID() || links[0].GetFlags() != 0x301 {
		t.Errorf("links: %v", links)
	}
}

func TestWhatACollectorDeclaresTemporaryIsSentAgain(t *testing.T) {
	hangUp := func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
	for name, first := range map[string]func(http.ResponseWriter){
		"429, after a second": answer(429, "", "Retry-After", "1"), "502": answer(502, ""), "503, after a second": answer(503, "", "Retry-After", "1"), "504": answer(504, ""),
		"no answer": hangUp,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, first)
			log := export(t, c.URL, one)
			if got := c.spans(t); len(got) != 1 || log != "" {
				t.Errorf("%v; log: %s", got, log)
			}
			if pause := c.arrived[1].Sub(c.arrived[0]); strings.Contains(name, "after a second") && pause < time.Second {
				t.Errorf("it was sent again after %v", pause)
			}
		})
	}
}

func TestWhatACollectorRefusesIsLogged(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		says   string
	}{
		"all":     {answer(400, "no such tenant"), "no such tenant"},
		"a part":  {answer(200, `{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too long"}}`), "rejected 1 spans: too long"},
		"nothing": {answer(200, `{"partialSuccess":{}}`), ""},
	} {
		to := start(t, c.answer)
		log := export(t, to.URL, one)
		if len(to.requests) != 1 || (log == "") != (c.says == "") || !strings.Contains(log, c.says) {
			t.Errorf("%s: %d requests, log: %s", name, len(to.requests), log)
		}
	}
}

func TestTheVariablesOfOpenTelemetryAreHonored(t *testing.T) {
	c := start(t)
	secure := httptest.NewTLSServer(c)
	defer secure.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"HEADERS": "tenant=other", "TRACES_HEADERS": "Api-Key=a%20b, tenant = t ", "COMPRESSION": "gzip", "CERTIFICATE": file, "TIMEOUT": "20000", "PROTOCOL": "grpc",
	} {
		t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
	}
	log := export(t, secure.URL, one)
	if got := c.spans(t); len(got) != 1 || !strings.Contains(log, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc") {
		t.Errorf("%v; log: %s", got, log)
	}
	for name, want := range map[string]string{
		"Api-Key": "a b", "Tenant": "t", "Content-Type": "application/json", "Content-Encoding": "gzip", "User-Agent": "holdfast/v1",
	} {
		if got := c.requests[0].Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestAWrongVariableOfOpenTelemetryIsAnError(t *testing.T) {
	for name, value := range map[string]string{
		"HEADERS": "s3cret", "TRACES_TIMEOUT": "10s", "COMPRESSION": "zstd", "CERTIFICATE": "no/file", "CLIENT_CERTIFICATE": "no/file",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
			_, err := otlp.New(otlp.Options{Endpoint: "http://localhost", Log: slog.New(slog.DiscardHandler)})
			if err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_"+name) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v", err)
			}
		})
	}
}
