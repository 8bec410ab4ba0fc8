package tracing_test

import (
	"context"
	"errors"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-upload/holdfast/storage/tracing"
)

// record returns a context with a span, and a recorder of ended spans.
func record(t *testing.T) (context.Context, trace.Span, *tracetest.SpanRecorder) {
	t.Helper()
	ended := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(ended))
	ctx, span := provider.Tracer("test").Start(t.Context(), "request")
	return ctx, span, ended
}

func idOf(s sdk.ReadOnlySpan) string {
	for _, a := range s.Attributes() {
		if a.Key == tracing.UploadID {
			return a.Value.AsString()
		}
	}
	return ""
}

func TestChildSpansHaveTheUploadID(t *testing.T) {
	ctx, _, ended := record(t)
	ctx, endOuter := tracing.Start(ctx, "outer", "")
	ctx = tracing.Of(ctx, "it")
	below, endInner := tracing.Start(ctx, "inner", "")
	_, endOther := tracing.Start(below, "other", "part")
	endOther(nil)
	endInner(nil)
	endOuter(nil)
	for i, want := range []struct{ name, id string }{{"other", "part"}, {"inner", "it"}, {"outer", "it"}} {
		if s := ended.Ended()[i]; s.Name() != want.name || idOf(s) != want.id {
			t.Errorf("span %d is %q for %q, want %q for %q", i, s.Name(), idOf(s), want.name, want.id)
		}
	}
}

// Work that continues after a request belongs to the trace of the request.
func TestASpanMayStartAfterItsParentHasEnded(t *testing.T) {
	ctx, request, ended := record(t)
	request.End()
	_, end := tracing.Start(context.WithoutCancel(ctx), "notify", "it")
	end(nil)
	all := ended.Ended()
	if len(all) != 2 || all[1].Parent().SpanID() != request.SpanContext().SpanID() {
		t.Errorf("%d spans ended", len(all))
	}
}

func TestErrorsInSpansHaveNoURLQueries(t *testing.T) {
	ctx, _, ended := record(t)
	_, end := tracing.Start(ctx, "put", "it")
	end(errors.New(`Put "http://s3/bucket/it?X-Amz-Signature=secret&b=c": connection refused`))
	got := ended.Ended()[0].Status()
	if want := `Put "http://s3/bucket/it": connection refused`; got.Code != codes.Error || got.Description != want {
		t.Errorf("the status is %+v, want the error %q", got, want)
	}
}

func TestWithoutATraceNothingIsDone(t *testing.T) {
	ctx := t.Context()
	if allocs := testing.AllocsPerRun(100, func() {
		below, end := tracing.Start(ctx, "put", "it")
		end(nil)
		if below != ctx || tracing.Of(ctx, "it") != ctx {
			t.Error("the context has changed")
		}
	}); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}
