package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/storage/spans"
)

// tracing sends traces to a collector. A nil one does nothing.
type tracing struct {
	provider *sdk.TracerProvider
	log      *slog.Logger
}

// openTracing returns nil if nobody wants traces. Whether the collector is there
// shows only later, and keeps nobody from uploading.
func openTracing(cfg config.Config, log *slog.Logger) (*tracing, error) {
	if cfg.OTLPEndpoint == "" {
		return nil, nil
	}
	to, err := url.JoinPath(cfg.OTLPEndpoint, "v1/traces")
	if err != nil {
		return nil, fmt.Errorf("set up traces: %w", err)
	}
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(to))
	if err != nil {
		return nil, fmt.Errorf("set up traces: %w", err)
	}
	host, _ := os.Hostname() // it only helps to tell nodes apart
	return &tracing{log: log, provider: sdk.NewTracerProvider(
		sdk.WithBatcher(&loggedExporter{SpanExporter: exporter, log: log}),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(cfg.OTLPSample))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", cfg.OTLPService),
			attribute.String("service.version", version()),
			attribute.String("service.instance.id", fmt.Sprintf("%s-%d", host, os.Getpid())),
		)),
	)}, nil
}

// tracer is what traces begin with, nil if there are none.
func (t *tracing) tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer(spans.Scope)
}

// close sends what has not been sent yet, until ctx is done.
func (t *tracing) close(ctx context.Context) {
	if t == nil {
		return
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the last traces were not sent", "error", err)
	}
}

// loggedExporter logs once that traces are lost, and once that they are not any more.
type loggedExporter struct {
	sdk.SpanExporter
	log  *slog.Logger
	lost atomic.Bool
}

// ExportSpans implements sdk.SpanExporter.
func (e *loggedExporter) ExportSpans(ctx context.Context, batch []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, batch)
	switch was := e.lost.Swap(err != nil); {
	case err != nil && !was:
		e.log.Warn("the collector takes no traces: they are lost", "error", err)
	case err == nil && was:
		e.log.Info("the collector takes traces again")
	}
	return nil
}
