// Package tracing adds spans to the trace of a request, in every layer, without passing
// a tracer around or keeping one in a global: the span in the context provides it.
// Without a sampled span in the context nothing is done.
package tracing

import (
	"context"
	"regexp"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Scope names this program's instrumentation.
const Scope = "github.com/holdfast-upload/holdfast"

// UploadID is the attribute with the upload's id, in every span of work on an upload.
const UploadID = attribute.Key("holdfast.upload.id")

type idKey struct{}

// Start starts a child of the span in ctx, even if that has ended, for work on the upload
// with the given id; "" is the id of the parent span. Use the returned context for the
// work, and call end once, with its error.
func Start(ctx context.Context, name, id string, opts ...trace.SpanStartOption) (_ context.Context, end func(error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.SpanContext().IsSampled() {
		return ctx, func(error) {}
	}
	ctx, span := parent.TracerProvider().Tracer(Scope).Start(ctx, name, opts...)
	return Of(ctx, id), func(err error) { End(span, err) }
}

// Of sets the upload id of the span in ctx and of its future descendants.
func Of(ctx context.Context, id string) context.Context {
	span := trace.SpanFromContext(ctx)
	if !span.SpanContext().IsSampled() {
		return ctx
	}
	parentID, _ := ctx.Value(idKey{}).(string)
	if id == "" {
		id = parentID
	}
	if id != "" {
		span.SetAttributes(UploadID.String(id))
	}
	if id == parentID {
		return ctx
	}
	return context.WithValue(ctx, idKey{}, id)
}

// queries matches the query of a URL in an error, which may contain secrets.
var queries = regexp.MustCompile(`\?[^\s"']*`)

// End ends a span, with an error status if err is not nil.
func End(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, queries.ReplaceAllString(err.Error(), ""))
	}
	span.End()
}
