package observed

// Notifications counts what the app is told: how many notifications are Owed and
// Parked now, as far as this node knows, and how many this node has Delivered, has
// Failed to deliver (each try) and has Dropped since its start.
type Notifications interface {
	Owed() int64
	Parked() int64
	Delivered() int64
	Failed() int64
	Dropped() int64
}

// Notifications shows the counts of n, which is asked at each scrape. A nil n shows
// nothing.
func (m *Metrics) Notifications(n Notifications) {
	if n == nil {
		return
	}
	count := func(f func() int64) func() float64 { return func() float64 { return float64(f()) } }
	m.gauge("holdfast_notifications_owed", "Notifications that the app has still to get.", count(n.Owed))
	m.gauge("holdfast_notifications_parked", "Notifications that were given up, and wait for somebody to send them again.", count(n.Parked))
	m.counter("holdfast_notifications_delivered_total", "Notifications that the app took.", count(n.Delivered))
	m.counter("holdfast_notifications_failed_total", "Tries to notify the app that failed.", count(n.Failed))
	m.counter("holdfast_notifications_dropped_total", "Notifications, of those that are not owed, for which there was no room.", count(n.Dropped))
}
