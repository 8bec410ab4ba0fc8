package instrument

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// requestMetrics are those of the requests at the doors.
type requestMetrics struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	running  *prometheus.GaugeVec
	received *prometheus.CounterVec
	served   *prometheus.CounterVec
}

func (m *Metrics) newRequests() requestMetrics {
	const protocol = "protocol"
	return requestMetrics{
		total: m.counters("holdfast_http_requests_total", "HTTP requests, by protocol, method and class of status; none is a request that got no response, or was superseded by a newer one of the same client.", protocol, "method", "status"),
		duration: m.make.NewHistogramVec(prometheus.HistogramOpts{
			Name: "holdfast_http_request_duration_seconds", Help: "Time from the header of a request to the end of its response; as long as the client takes to send.", Buckets: slow,
		}, []string{protocol}),
		running:  m.make.NewGaugeVec(prometheus.GaugeOpts{Name: "holdfast_http_requests_in_flight", Help: "HTTP requests that run now."}, []string{protocol}),
		received: m.counters("holdfast_http_request_bytes_total", "Bytes of request bodies, as they arrive.", protocol),
		served:   m.counters("holdfast_http_response_bytes_total", "Bytes of responses, as they leave.", protocol),
	}
}

// Request measures a request at a door.
type Request struct {
	m                *requestMetrics
	protocol         string
	received, served prometheus.Counter
}

// Request begins to measure a request at a door; "" is no door.
func (m *Metrics) Request(door string) *Request {
	door = orNone(door)
	m.requests.running.WithLabelValues(door).Inc()
	return &Request{
		m: &m.requests, protocol: door,
		received: m.requests.received.WithLabelValues(door), served: m.requests.served.WithLabelValues(door),
	}
}

// Received counts n bytes of the body.
func (r *Request) BytesIn(n int) { r.received.Add(float64(n)) }

// Served counts n bytes of the answer.
func (r *Request) BytesOut(n int) { r.served.Add(float64(n)) }

// End says how it ended; a status of 0 is no answer.
func (r *Request) End(method string, status int, took time.Duration) {
	r.m.running.WithLabelValues(r.protocol).Dec()
	r.m.duration.WithLabelValues(r.protocol).Observe(took.Seconds())
	r.m.total.WithLabelValues(r.protocol, known(method), class(status)).Inc()
}

// known is the method, or "other": clients may invent some.
func known(method string) string {
	switch method {
	case "OPTIONS", "HEAD", "GET", "POST", "PUT", "PATCH", "DELETE":
		return method
	}
	return "other"
}

func class(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return fmt.Sprintf("%dxx", status/100)
}
