package observed

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
	const door = "door"
	return requestMetrics{
		total: m.counters("holdfast_requests_total", "Requests answered, by door, method and class of status; none: not answered, or superseded by a newer request of the same client.", door, "method", "status"),
		duration: m.make.NewHistogramVec(prometheus.HistogramOpts{
			Name: "holdfast_request_duration_seconds", Help: "Time from a request's header to the end of its answer.", Buckets: slow,
		}, []string{door}),
		running:  m.make.NewGaugeVec(prometheus.GaugeOpts{Name: "holdfast_requests_running", Help: "Requests that run now."}, []string{door}),
		received: m.counters("holdfast_received_bytes_total", "Bytes of request bodies, as they arrive.", door),
		served:   m.counters("holdfast_served_bytes_total", "Bytes of answers, files above all, as they leave.", door),
	}
}

// Request measures a request at a door.
type Request struct {
	m                *requestMetrics
	door             string
	received, served prometheus.Counter
}

// Request begins to measure a request at a door; "" is no door.
func (m *Metrics) Request(door string) *Request {
	door = orNone(door)
	m.requests.running.WithLabelValues(door).Inc()
	return &Request{
		m: &m.requests, door: door,
		received: m.requests.received.WithLabelValues(door), served: m.requests.served.WithLabelValues(door),
	}
}

// Received counts n bytes of the body.
func (r *Request) Received(n int) { r.received.Add(float64(n)) }

// Served counts n bytes of the answer.
func (r *Request) Served(n int) { r.served.Add(float64(n)) }

// End says how it ended; a status of 0 is no answer.
func (r *Request) End(method string, status int, took time.Duration) {
	r.m.running.WithLabelValues(r.door).Dec()
	r.m.duration.WithLabelValues(r.door).Observe(took.Seconds())
	r.m.total.WithLabelValues(r.door, known(method), class(status)).Inc()
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
