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

// operations measures and traces the operations of one system.
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

// begin starts an operation. The span's upload id is id, or that of the parent span if id is
// "". End takes the result.
func (o *operations) begin(ctx context.Context, operation, id string) (_ context.Context, end func(error)) {
	began := time.Now()
	ctx, endSpan := tracing.Start(ctx, o.system+" "+operation, id, trace.WithSpanKind(o.kind))
	return ctx, func(err error) {
		endSpan(err)
		o.total.WithLabelValues(operation).Inc()
		o.duration.WithLabelValues(operation).Observe(time.Since(began).Seconds())
		if err != nil && !isExpected(err) {
			o.failures.WithLabelValues(operation).Inc()
		}
	}
}

// isExpected reports whether a healthy store may return err.
func isExpected(err error) bool {
	if storage.Transient(err) {
		return false
	}
	for _, expected := range []error{
		storage.ErrNotFound, storage.ErrGone, storage.ErrExists, storage.ErrKeyTaken, storage.ErrTooLarge, storage.ErrSizeMismatch, storage.ErrIncomplete,
	} {
		if errors.Is(err, expected) {
			return true
		}
	}
	return false
}
