package instrument

// Hooks are the counts of deliveries and hooks.
type Hooks struct {
	Pending, InFlight, Queued                                                            int64 // current
	Delivered, Failed, DeadLettered, Deferred, Dropped, BestEffortFailed, BlockingFailed int64 // since the start
}

// Hooks registers the metrics of deliveries and hooks. It calls state at each scrape.
func (m *Metrics) Hooks(state func() Hooks) {
	for _, g := range []struct {
		name, help string
		value      func(Hooks) int64
	}{
		{"holdfast_deliveries_pending", "Deliveries that this node has pending.", func(h Hooks) int64 { return h.Pending }},
		{"holdfast_deliveries_in_flight", "Deliveries that this node is making now.", func(h Hooks) int64 { return h.InFlight }},
		{"holdfast_hooks_queued", "Best-effort hooks that wait to be sent.", func(h Hooks) int64 { return h.Queued }},
	} {
		m.gauge(g.name, g.help, func() float64 { return float64(g.value(state())) })
	}
	for _, c := range []struct {
		name, help string
		value      func(Hooks) int64
	}{
		{"holdfast_deliveries_delivered_total", "Deliveries that the app has acknowledged.", func(h Hooks) int64 { return h.Delivered }},
		{"holdfast_delivery_failures_total", "Attempts at a delivery that failed.", func(h Hooks) int64 { return h.Failed }},
		{"holdfast_deliveries_dead_lettered_total", "Deliveries that were given up: retried for too long, or rejected by the app.", func(h Hooks) int64 { return h.DeadLettered }},
		{"holdfast_deliveries_deferred_total", "Deliveries left to a later sweep because too many were pending.", func(h Hooks) int64 { return h.Deferred }},
		{"holdfast_hooks_dropped_total", "Best-effort hooks dropped because too many waited.", func(h Hooks) int64 { return h.Dropped }},
		{"holdfast_hook_failures_total", "Best-effort hooks that the app did not accept.", func(h Hooks) int64 { return h.BestEffortFailed }},
		{"holdfast_blocking_hook_failures_total", "Blocking hooks, pre-create and pre-finish, without a valid response.", func(h Hooks) int64 { return h.BlockingFailed }},
	} {
		m.counter(c.name, c.help, func() float64 { return float64(c.value(state())) })
	}
}
