// Package instrument wraps stores, lockers, caches and their connections with Prometheus
// metrics and OpenTelemetry spans.
//
// Each Metrics has its own registry, so several may exist in one process. No label contains
// upload ids or other values that clients choose.
package instrument

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/holdfast-upload/holdfast/storage"
)

// Metrics holds the metrics of a node. Create it with New.
type Metrics struct {
	registry *prometheus.Registry
	make     promauto.Factory

	uploads      map[storage.EventType]*prometheus.CounterVec
	requests     requestMetrics
	extents      *prometheus.CounterVec
	stored       *prometheus.CounterVec
	store        *operations
	s3           *operations
	redis        *operations
	lookups      *prometheus.CounterVec
	cacheErrors  *prometheus.CounterVec
	lockWaits    prometheus.Histogram
	lockTimeouts prometheus.Counter
	sweeps       prometheus.Histogram
	sweepErrors  prometheus.Counter
}

// New returns a Metrics with a new registry. Version is the program's, for
// holdfast_build_info.
func New(version string) *Metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m := &Metrics{registry: registry, make: promauto.With(registry)}
	m.make.NewGauge(prometheus.GaugeOpts{
		Name: "holdfast_build_info", Help: "1, with what was built as labels.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}).Set(1)
	m.uploads = map[storage.EventType]*prometheus.CounterVec{
		storage.Created:  m.counters("holdfast_uploads_created_total", "Uploads created.", "protocol"),
		storage.Finished: m.counters("holdfast_uploads_finished_total", "Uploads finished, by the protocol of the request that finished them; none is the sweep.", "protocol"),
		storage.Deleted:  m.counters("holdfast_uploads_deleted_total", "Uploads deleted by a client.", "protocol"),
		storage.Expired:  m.counters("holdfast_uploads_expired_total", "Incomplete uploads that have expired.", "protocol"),
	}
	m.requests = m.newRequests()
	m.extents = m.counters("holdfast_extents_stored_total", "Extents stored: ranges on disk; parts, fragments and files on S3.", "kind")
	m.stored = m.counters("holdfast_stored_bytes_total", "Bytes of the extents stored. Those of a fragment count again in its part.", "kind")
	m.store = m.newOperations("store", "Operations of the store; a write lasts as long as the client sends.", slow)
	m.lookups = m.counters("holdfast_cache_lookups_total", "Lookups in the cache: hit, miss (the store is asked), or error.", "result")
	m.cacheErrors = m.counters("holdfast_cache_errors_total", "Calls to the cache that failed, so that the store is asked. While a node does not report to Redis, all do.", "operation")
	m.lockWaits = m.histogram("holdfast_lock_wait_seconds", "Time that requests waited for the lock of an upload, acquired or not.", quick)
	m.lockTimeouts = m.make.NewCounter(prometheus.CounterOpts{Name: "holdfast_lock_timeouts_total", Help: "Requests that did not acquire the lock in time."})
	m.sweeps = m.histogram("holdfast_sweep_duration_seconds", "Duration of the sweeps of this node.", slow)
	m.sweepErrors = m.make.NewCounter(prometheus.CounterOpts{Name: "holdfast_sweep_errors_total", Help: "Sweeps that failed in part."})
	return m
}

// Histogram buckets, in seconds.
var (
	quick  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 60}
	normal = []float64{.0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	slow   = []float64{.001, .005, .025, .1, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200}
)

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	return m.make.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	return m.make.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}

// Handler serves the metrics in Prometheus' format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.InstrumentMetricHandler(m.registry, promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
}

// Gatherer returns the registry, for programs.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Upload counts an event of an upload, by the protocol of the request that caused it. Events
// that are not Local are counted by the process on which they happened.
func (m *Metrics) Upload(e storage.Event, protocol string) {
	if counter, ok := m.uploads[e.Type]; ok && e.Local {
		counter.WithLabelValues(orNone(protocol)).Inc()
	}
}

// Sweep records a sweep: see storage.Options.
func (m *Metrics) Sweep(duration time.Duration, err error) {
	m.sweeps.Observe(duration.Seconds())
	if err != nil {
		m.sweepErrors.Inc()
	}
}

func orNone(protocol string) string {
	if protocol == "" {
		return "none"
	}
	return protocol
}
