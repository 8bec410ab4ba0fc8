package instrument

import (
	"fmt"
	"net/http"
	"slices"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// transport measures and traces each HTTP request to S3, every retry separately, until its
// response headers arrive.
type transport struct {
	next http.RoundTripper
	o    *operations
}

// S3 registers the metrics of S3, and returns the Middleware of s3.Options.
func (m *Metrics) S3() func(http.RoundTripper) http.RoundTripper {
	m.s3 = m.newOperations("s3", "Requests to S3, retries among them, by operation of its API.", normal)
	m.s3.kind = trace.SpanKindClient
	return func(next http.RoundTripper) http.RoundTripper { return &transport{next, m.s3} }
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	operation := awsmiddleware.GetOperationName(r.Context())
	if operation == "" {
		operation = "other"
	}
	ctx, end := t.o.begin(r.Context(), operation, "")
	resp, err := t.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		end(err)
		return resp, err
	}
	end(statusError(resp.StatusCode))
	return resp, nil
}

// expectedStatuses are those that a healthy S3 returns: no such key, a failed condition, an
// unsatisfiable range.
var expectedStatuses = []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable}

func statusError(status int) error {
	if status < 400 || slices.Contains(expectedStatuses, status) {
		return nil
	}
	return fmt.Errorf("status %d", status)
}

// Memory registers the metrics of the buffer memory. It calls state at each scrape, for the
// bytes in use, the limit in bytes, and the bytes written to temporary files since the
// start.
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
