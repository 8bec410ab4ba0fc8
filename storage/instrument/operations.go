package instrument

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/tracing"
)

// operations measures and traces what is asked of one system.
type operations struct {
	system   string
	kind     trace.SpanKind
	total    *prometheus.CounterVec
	failures *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func (m *Metrics) newOperations(system, help string, buckets []float64) *operations {
	prefix, labels := "holdfast_"+system, []string{"operation"}
	return &operations{
		system: system, kind: trace.SpanKindInternal,
		total:    m.counters(prefix+"_operations_total", help, labels...),
		failures: m.counters(prefix+"_errors_total", "Operations that failed. That something does not exist, or exists already, is not a failure.", labels...),
		duration: m.make.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "_operation_duration_seconds", Help: "Time that each took.", Buckets: buckets,
		}, labels),
	}
}

// begin begins an operation on an upload, "" for that of the span above. End says
// what came of it.
func (o *operations) begin(ctx context.Context, operation, id string) (_ context.Context, end func(error)) {
	began := time.Now()
	ctx, endSpan := tracing.Start(ctx, o.system+" "+operation, id, trace.WithSpanKind(o.kind))
	return ctx, func(err error) {
		endSpan(err)
		o.total.WithLabelValues(operation).Inc()
		o.duration.WithLabelValues(operation).Observe(time.Since(began).Seconds())
		if err != nil && !isAnswer(err) {
			o.failures.WithLabelValues(operation).Inc()
		}
	}
}

// isAnswer tells whether an error is what a store that works may well answer.
func isAnswer(err error) bool {
	if storage.Transient(err) {
		return false
	}
	for _, answer := range []error{
		storage.ErrNotFound, storage.ErrGone, storage.ErrExists, storage.ErrKeyTaken, storage.ErrTooLarge, storage.ErrSizeMismatch, storage.ErrIncomplete,
	} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}
