// Package otlp exports traces to an OpenTelemetry collector with OTLP over HTTP, in JSON. It has
// an exporter of its own because OpenTelemetry's brings gRPC into the program, for one POST.
package otlp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-upload/holdfast/storage/tracing"
)

// Options configure an Exporter.
type Options struct {
	// Endpoint is the base URL of the collector. Traces are sent to v1/traces below it.
	Endpoint string
	// Service and Version describe this process in traces.
	Service, Version string
	// Sample is the fraction of requests that are traced, 0 to 1.
	Sample float64
	Log    *slog.Logger
}

// Exporter exports traces to a collector. Create it with New. A nil Exporter does nothing.
type Exporter struct {
	provider *sdk.TracerProvider
	log      *slog.Logger
}

// protocol is the one value of OTEL_EXPORTER_OTLP_PROTOCOL that says what is sent.
const protocol = "http/json"

// New returns an Exporter. It does not connect to the collector: while that is
// unreachable, traces are lost. It fails if a variable OTEL_EXPORTER_OTLP_* is wrong.
func New(opts Options) (*Exporter, error) {
	to, err := url.JoinPath(opts.Endpoint, "v1/traces")
	if err != nil {
		return nil, fmt.Errorf("set up traces: %w", err)
	}
	env, err := readEnvironment()
	if err != nil {
		return nil, fmt.Errorf("set up traces: %w", err)
	}
	if v := find("PROTOCOL"); v.value != "" && v.value != protocol {
		opts.Log.Warn("traces are sent as "+protocol+" only", v.name, v.value)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = env.tls
	exporter := &sender{
		url: to, userAgent: "holdfast/" + opts.Version, env: env,
		client: &http.Client{Transport: transport, Timeout: env.timeout},
	}
	host, _ := os.Hostname() // "" if it is unknown
	return &Exporter{log: opts.Log, provider: sdk.NewTracerProvider(
		sdk.WithBatcher(&loggedExporter{SpanExporter: exporter, log: opts.Log}),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(opts.Sample))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", opts.Service),
			attribute.String("service.version", opts.Version),
			attribute.String("service.instance.id", fmt.Sprintf("%s-%d", host, os.Getpid())),
		)),
	)}, nil
}

// Tracer returns the tracer that starts traces, nil for a nil Exporter.
func (t *Exporter) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer(tracing.Scope)
}

// Close exports the remaining spans, until ctx is done.
func (t *Exporter) Close(ctx context.Context) {
	if t == nil {
		return
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("cannot send the last traces", "error", err)
	}
}

// loggedExporter logs when exporting starts to fail, and when it works again.
type loggedExporter struct {
	sdk.SpanExporter
	log  *slog.Logger
	lost atomic.Bool
}

// ExportSpans implements sdk.SpanExporter.
func (e *loggedExporter) ExportSpans(ctx context.Context, batch []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, batch)
	switch wasLost := e.lost.Swap(err != nil); {
	case err != nil && !wasLost:
		e.log.Warn("cannot send traces to the collector; they are lost", "error", err)
	case err == nil && wasLost:
		e.log.Info("traces are sent to the collector again")
	}
	return nil
}
