package instrument

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// requestMetrics are the metrics of HTTP requests to the protocols.
type requestMetrics struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
	received *prometheus.CounterVec
	served   *prometheus.CounterVec
	errors   *prometheus.CounterVec
}

func (m *Metrics) newRequests() requestMetrics {
	const protocol = "protocol"
	return requestMetrics{
		total: m.counters("holdfast_http_requests_total", "HTTP requests, by protocol, method and class of status; none is a request that got no response, or was superseded by a newer one of the same client.", protocol, "method", "status"),
		duration: m.make.NewHistogramVec(prometheus.HistogramOpts{
			Name: "holdfast_http_request_duration_seconds", Help: "Time from the header of a request to the end of its response; as long as the client takes to send.", Buckets: slow,
		}, []string{protocol}),
		inFlight: m.make.NewGaugeVec(prometheus.GaugeOpts{Name: "holdfast_http_requests_in_flight", Help: "HTTP requests that run now."}, []string{protocol}),
		received: m.counters("holdfast_http_request_bytes_total", "Bytes of request bodies, as they arrive.", protocol),
		errors:   m.counters("holdfast_http_errors_total", "HTTP requests that were refused or failed, by the code that the log has as error_code.", protocol, "code"),
		served:   m.counters("holdfast_http_response_bytes_total", "Bytes of responses, as they leave.", protocol),
	}
}

// Request measures a request to a protocol.
type Request struct {
	m                *requestMetrics
	protocol         string
	received, served prometheus.Counter
}

// Request starts to measure a request to a protocol; "" counts as none.
func (m *Metrics) Request(protocol string) *Request {
	protocol = orNone(protocol)
	m.requests.inFlight.WithLabelValues(protocol).Inc()
	return &Request{
		m: &m.requests, protocol: protocol,
		received: m.requests.received.WithLabelValues(protocol), served: m.requests.served.WithLabelValues(protocol),
	}
}

// BytesIn counts n bytes of the request body.
func (r *Request) BytesIn(n int) { r.received.Add(float64(n)) }

// BytesOut counts n bytes of the response.
func (r *Request) BytesOut(n int) { r.served.Add(float64(n)) }

// End records how the request ended. A status of 0 means that it got no response; code is
// that of the error with which it failed, "" if it did not.
func (r *Request) End(method string, status int, code string, duration time.Duration) {
	if code != "" {
		r.m.errors.WithLabelValues(r.protocol, code).Inc()
	}
	r.m.inFlight.WithLabelValues(r.protocol).Dec()
	r.m.duration.WithLabelValues(r.protocol).Observe(duration.Seconds())
	r.m.total.WithLabelValues(r.protocol, methodLabel(method), statusClass(status)).Inc()
}

// methodLabel returns the method, or "other" for unknown ones, which clients may choose.
func methodLabel(method string) string {
	switch method {
	case "OPTIONS", "HEAD", "GET", "POST", "PUT", "PATCH", "DELETE":
		return method
	}
	return "other"
}

func statusClass(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return fmt.Sprintf("%dxx", status/100)
}
