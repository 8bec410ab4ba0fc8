package webhook

import "sync/atomic"

// Stats are the statistics of a Webhooks, for monitoring. All but Queued are counted since
// the start of the process.
type Stats struct {
	Queued           int   // best-effort hooks in the queue
	Dropped          int64 // best-effort hooks dropped because the queue was full
	BestEffortFailed int64 // best-effort hooks that the app did not accept
	BlockingFailed   int64 // blocking hooks without a valid response
}

type counts struct {
	dropped, bestEffortFailed, blockingFailed atomic.Int64
}

// Stats returns the current statistics.
func (a *Webhooks) Stats() Stats {
	c := &a.counts
	return Stats{Queued: len(a.notifications), Dropped: c.dropped.Load(), BestEffortFailed: c.bestEffortFailed.Load(), BlockingFailed: c.blockingFailed.Load()}
}
