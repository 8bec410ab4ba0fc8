package webhook

import "sync/atomic"

// Stats are the figures of an App, for monitoring. All but Queued are counted since the
// start of the process.
type Stats struct {
	Queued           int   // best-effort hooks that wait
	Dropped          int64 // best-effort hooks that found the queue full
	BestEffortFailed int64 // best-effort hooks that the app did not accept
	BlockingFailed   int64 // blocking hooks without a valid response
}

type counts struct {
	dropped, bestEffortFailed, blockingFailed atomic.Int64
}

// Stats returns the figures as they are now.
func (a *Webhooks) Stats() Stats {
	c := &a.counts
	return Stats{Queued: len(a.notifications), Dropped: c.dropped.Load(), BestEffortFailed: c.bestEffortFailed.Load(), BlockingFailed: c.blockingFailed.Load()}
}
