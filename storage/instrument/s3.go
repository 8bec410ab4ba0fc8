package instrument

import (
	"fmt"
	"net/http"
	"slices"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// wire measures and traces each request to S3, every retry as one of its own, until
// its answer begins.
type wire struct {
	next http.RoundTripper
	o    *operations
}

// S3 begins to measure S3. It returns what s3.Options takes as Wrap.
func (m *Metrics) S3() func(http.RoundTripper) http.RoundTripper {
	m.s3 = m.newOperations("s3", "Requests to S3, retries among them, by operation of its API.", normal)
	m.s3.kind = trace.SpanKindClient
	return func(next http.RoundTripper) http.RoundTripper { return &wire{next, m.s3} }
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	operation := awsmiddleware.GetOperationName(r.Context())
	if operation == "" {
		operation = "other"
	}
	ctx, end := w.o.begin(r.Context(), operation, "")
	answer, err := w.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		end(err)
		return answer, err
	}
	end(refused(answer.StatusCode))
	return answer, nil
}

// answers are the statuses with which an S3 that works says that something is not
// so: no such key, a condition that does not hold, a range that is not there.
var answers = []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable}

func refused(status int) error {
	if status < 400 || slices.Contains(answers, status) {
		return nil
	}
	return fmt.Errorf("status %d", status)
}

// Memory shows what a store holds in memory, and what did not fit into it: it is
// asked at each scrape for bytes in use, bytes that may be in use, and bytes that
// went to temporary files since the start.
func (m *Metrics) Memory(state func() (used, limit, spilled int64)) {
	m.gauge("holdfast_memory_used_bytes", "Bytes of --buffer-memory that are in use.", func() float64 {
		used, _, _ := state()
		return float64(used)
	})
	m.gauge("holdfast_memory_limit_bytes", "The --buffer-memory.", func() float64 {
		_, limit, _ := state()
		return float64(limit)
	})
	m.counter("holdfast_spilled_bytes_total", "Bytes that did not fit into --buffer-memory and went to temporary files.", func() float64 {
		_, _, spilled := state()
		return float64(spilled)
	})
}

func (m *Metrics) gauge(name, help string, value func() float64) {
	m.make.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
}

func (m *Metrics) counter(name, help string, value func() float64) {
	m.make.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value)
}
