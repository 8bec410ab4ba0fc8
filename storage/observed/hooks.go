package observed

// Hooks is what is known of telling the app.
type Hooks struct {
	Pending, Sending, Queued                                                int64 // now
	Delivered, Failed, Parked, Overflowed, Dropped, NotesFailed, Unanswered int64 // since the start
}

// Hooks shows how it stands with telling the app: it is asked at each scrape.
func (m *Metrics) Hooks(state func() Hooks) {
	for _, g := range []struct {
		name, help string
		value      func(Hooks) int64
	}{
		{"holdfast_hooks_owed_pending", "Finished uploads of which this node is to tell the app.", func(h Hooks) int64 { return h.Pending }},
		{"holdfast_hooks_owed_sending", "Of these, the ones of which it is telling now.", func(h Hooks) int64 { return h.Sending }},
		{"holdfast_hooks_queued", "Other events that wait to be told.", func(h Hooks) int64 { return h.Queued }},
	} {
		m.gauge(g.name, g.help, func() float64 { return float64(g.value(state())) })
	}
	for _, c := range []struct {
		name, help string
		value      func(Hooks) int64
	}{
		{"holdfast_hooks_delivered_total", "Finished uploads of which the app has heard.", func(h Hooks) int64 { return h.Delivered }},
		{"holdfast_hooks_failures_total", "Tries to tell of a finished upload that failed.", func(h Hooks) int64 { return h.Failed }},
		{"holdfast_hooks_parked_total", "Finished uploads of which the app is not told any more.", func(h Hooks) int64 { return h.Parked }},
		{"holdfast_hooks_overflowed_total", "Finished uploads left to the sweeper, as too many waited.", func(h Hooks) int64 { return h.Overflowed }},
		{"holdfast_hooks_dropped_total", "Other events that were not told, as too many waited.", func(h Hooks) int64 { return h.Dropped }},
		{"holdfast_hooks_untaken_total", "Other events that the app did not take.", func(h Hooks) int64 { return h.NotesFailed }},
		{"holdfast_hooks_unanswered_total", "Questions, pre-create and pre-finish, without an answer.", func(h Hooks) int64 { return h.Unanswered }},
	} {
		m.counter(c.name, c.help, func() float64 { return float64(c.value(state())) })
	}
}
