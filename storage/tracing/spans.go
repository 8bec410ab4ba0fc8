// Package tracing lets every floor add to the trace of the request that it works for,
// without a tracer being handed down or kept in a global: the span in the context
// knows where it is collected. Without a trace nothing is done.
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

// UploadID is the attribute that holds the upload's id, in every span that works
// for one.
const UploadID = attribute.Key("holdfast.upload.id")

type idKey struct{}

// Start begins a span below the one of ctx, even if that has ended, for work on the
// upload of the given id; "" is that of the span above. The context is for what the
// work itself calls. End is to be called once, with the error that came of it.
func Start(ctx context.Context, name, id string, opts ...trace.SpanStartOption) (_ context.Context, end func(error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.SpanContext().IsSampled() {
		return ctx, func(error) {}
	}
	ctx, span := parent.TracerProvider().Tracer(Scope).Start(ctx, name, opts...)
	return Of(ctx, id), func(err error) { End(span, err) }
}

// Of says which upload the span of ctx, and those that come below it, work for.
func Of(ctx context.Context, id string) context.Context {
	span := trace.SpanFromContext(ctx)
	if !span.SpanContext().IsSampled() {
		return ctx
	}
	above, _ := ctx.Value(idKey{}).(string)
	if id == "" {
		id = above
	}
	if id != "" {
		span.SetAttributes(UploadID.String(id))
	}
	if id == above {
		return ctx
	}
	return context.WithValue(ctx, idKey{}, id)
}

// queries are what a URL in an error may say more than anybody should read.
var queries = regexp.MustCompile(`\?[^\s"']*`)

// End ends a span that failed if err is not nil.
func End(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, queries.ReplaceAllString(err.Error(), ""))
	}
	span.End()
}
