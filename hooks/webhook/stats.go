package webhook

import "sync/atomic"

// Stats are the figures of an App, for monitoring. All but Queued are counted since the
// start of the process.
type Stats struct {
	Queued     int   // best-effort hooks that wait
	Dropped    int64 // best-effort hooks that found the queue full
	NoteFailed int64 // best-effort hooks that the app did not accept
	AskFailed  int64 // blocking hooks without a valid response
}

type counts struct {
	dropped, noteFailed, askFailed atomic.Int64
}

// Stats returns the figures as they are now.
func (a *App) Stats() Stats {
	c := &a.counts
	return Stats{Queued: len(a.notes), Dropped: c.dropped.Load(), NoteFailed: c.noteFailed.Load(), AskFailed: c.askFailed.Load()}
}
