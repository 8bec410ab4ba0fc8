package protocol

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-upload/holdfast/storage/tracing"
)

// startSpan begins the span of a request, as a child of the client's span if forwarded
// headers are trusted. It records no headers, and only the upload id of the URL.
func (rt *router) startSpan(r *http.Request, protocol, id string) (context.Context, trace.Span) {
	ctx := r.Context()
	if rt.Tracer == nil {
		return ctx, trace.SpanFromContext(ctx)
	}
	if rt.URLs.TrustForwarded {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	method := r.Method
	if !supportedMethod(r) {
		method = "_OTHER" // by the semantic conventions, to bound cardinality
	}
	name := strings.TrimSpace(method + " " + protocol)
	ctx, span := rt.Tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", method), attribute.String("holdfast.protocol", protocol)))
	return tracing.Of(ctx, id), span
}

// spanOf returns the span of the request, one that records nothing if there is none.
func (x *Exchange) spanOf() trace.Span {
	if x.span == nil {
		return trace.SpanFromContext(x.r.Context())
	}
	return x.span
}

// endSpan ends the span of a request. A status of 0 means that no response was sent.
func endSpan(span trace.Span, status int, id, outcome string, received int64) {
	if id != "" {
		span.SetAttributes(tracing.UploadID.String(id))
	}
	span.SetAttributes(attribute.Int("http.response.status_code", status),
		attribute.Int64("http.request.body.size", received), attribute.String("holdfast.outcome", outcome))
	if status >= 500 || status == 0 {
		span.SetStatus(codes.Error, outcome)
	}
	span.End()
}
