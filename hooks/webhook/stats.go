package webhook

import "sync/atomic"

// Stats are the figures of an App, for monitoring. All but Pending, Sending and Queued
// only grow.
type Stats struct {
	Pending    int   // finished uploads that this process is to tell of, or is telling of
	Sending    int64 // of them, those that it is telling of now
	Delivered  int64 // finished uploads of which the app has heard from this process
	Failed     int64 // tries to tell it so that failed
	Parked     int64 // finished uploads of which it is not told any more
	Overflowed int64 // finished uploads left to the sweeper, as there were too many

	Queued     int   // other events that wait to be told
	Dropped    int64 // those that were not told, as too many waited
	NoteFailed int64 // those that the app did not take
	AskFailed  int64 // questions (pre-create, pre-finish) without an answer
}

type counts struct {
	sending, delivered, failed, parked, overflowed, dropped, noteFailed, askFailed atomic.Int64
}

// Stats returns the figures as they are now.
func (a *App) Stats() Stats {
	c := &a.counts
	return Stats{
		Pending: a.outbox.pending(), Sending: c.sending.Load(), Delivered: c.delivered.Load(),
		Failed: c.failed.Load(), Parked: c.parked.Load(), Overflowed: c.overflowed.Load(),
		Queued: len(a.notes), Dropped: c.dropped.Load(), NoteFailed: c.noteFailed.Load(), AskFailed: c.askFailed.Load(),
	}
}
