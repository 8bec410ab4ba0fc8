package console

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

// counters count requests since the start.
type counters struct {
	bytesIn, requests, failed, refused, interrupted, inFlight atomic.Int64
}

// interruptions are the codes of requests that their client has ended: no failure of the
// server, whatever the status.
var interruptions = map[string]bool{
	problem.CodeSuperseded:                             true,
	problem.From("", "", storage.ErrBodyAborted).Code:  true,
	problem.From("", "", problem.ErrIdleTimeout).Code:  true,
	problem.From("", "", problem.ErrShuttingDown).Code: true,
}

// Measure returns protocol.Options.Metrics that count for the page, and pass measurements on
// to next unless that is nil.
func (c *Console) Measure(next func(string) protocol.RequestMetrics) func(string) protocol.RequestMetrics {
	return func(name string) protocol.RequestMetrics {
		c.counters.inFlight.Add(1)
		m := &meter{of: &c.counters}
		if next != nil {
			m.next = next(name)
		}
		return m
	}
}

// meter measures a request.
type meter struct {
	of   *counters
	next protocol.RequestMetrics // nil for none
}

func (m *meter) BytesIn(n int) {
	m.of.bytesIn.Add(int64(n))
	if m.next != nil {
		m.next.BytesIn(n)
	}
}

func (m *meter) BytesOut(n int) {
	if m.next != nil {
		m.next.BytesOut(n)
	}
}

func (m *meter) End(method string, status int, code string, duration time.Duration) {
	m.of.inFlight.Add(-1)
	m.of.requests.Add(1)
	switch {
	case interruptions[code]:
		m.of.interrupted.Add(1)
	case status >= 500:
		m.of.failed.Add(1)
	case status >= 400 || code != "":
		m.of.refused.Add(1)
	}
	if m.next != nil {
		m.next.End(method, status, code, duration)
	}
}

const (
	// sampleInterval is the time between two points of a curve, and maxPoints how many it has:
	// ten minutes.
	sampleInterval = 3 * time.Second
	maxPoints      = 200
)

// Curves are measurements at equal intervals, the latest last, per second where it says so.
type Curves struct {
	Rate        []int64   `json:"rate"` // bytes received per second
	Requests    []float32 `json:"requests"`
	Failed      []float32 `json:"failed"`
	Refused     []float32 `json:"refused"`
	Interrupted []float32 `json:"interrupted"`
	Memory      []int64   `json:"memory"` // bytes of the memory budget in use
}

// history measures the counters at intervals.
type history struct {
	mu     sync.Mutex
	at     time.Time // of the last measurement
	last   [5]int64
	curves Curves
}

// measure adds a point to each curve. The first call only begins.
func (h *history) measure(c *counters, memory int64, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	totals := [5]int64{c.bytesIn.Load(), c.requests.Load(), c.failed.Load(), c.refused.Load(), c.interrupted.Load()}
	took := now.Sub(h.at).Seconds()
	perSecond := func(i int) float32 { return float32(math.Round(100*float64(totals[i]-h.last[i])/took) / 100) }
	if !h.at.IsZero() && took > 0 {
		h.curves.Rate = appendPoint(h.curves.Rate, int64(perSecond(0)))
		h.curves.Requests = appendPoint(h.curves.Requests, perSecond(1))
		h.curves.Failed = appendPoint(h.curves.Failed, perSecond(2))
		h.curves.Refused = appendPoint(h.curves.Refused, perSecond(3))
		h.curves.Interrupted = appendPoint(h.curves.Interrupted, perSecond(4))
		h.curves.Memory = appendPoint(h.curves.Memory, memory)
	}
	h.at, h.last = now, totals
}

// appendPoint returns a new slice, because snapshots share the old one.
func appendPoint[T any](curve []T, point T) []T {
	return append(append(make([]T, 0, maxPoints), curve[max(0, len(curve)-maxPoints+1):]...), point)
}

func (h *history) snapshot() Curves {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.curves
}
