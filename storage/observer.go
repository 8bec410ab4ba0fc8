package storage

import (
	"context"
	"sync"
	"time"
)

// Observer is notified of what happens to uploads. Each function may be nil. None but Run may
// block.
type Observer struct {
	// Event is called in the request that caused an event, or in the sweep.
	Event func(ctx context.Context, e Event)
	// Progress is called each time a write has stored data of an incomplete upload, in
	// that write. It must not change the upload.
	Progress func(ctx context.Context, up Upload)
	// Sweep is called after each sweep of Run with how long it took, and its error.
	Sweep func(took time.Duration, err error)
	// Run does what the observer has to do between requests, until ctx is done: Uploads.Run
	// calls it, beside its own work. It may block.
	Run func(ctx context.Context)
}

// Observers returns the observer that calls all of observers in their order.
func Observers(observers ...Observer) Observer {
	var all Observer
	for _, o := range observers {
		all.Event = fanOut(all.Event, o.Event)
		all.Progress = fanOut(all.Progress, o.Progress)
		first, second := all.Sweep, o.Sweep
		switch {
		case first == nil:
			all.Sweep = second
		case second != nil:
			all.Sweep = func(took time.Duration, err error) { first(took, err); second(took, err) }
		}
		all.Run = sideBySide(all.Run, o.Run)
	}
	return all
}

// sideBySide returns a function that runs both functions at once, nil if both are.
func sideBySide(a, b func(context.Context)) func(context.Context) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(ctx context.Context) {
		var running sync.WaitGroup
		running.Go(func() { a(ctx) })
		running.Go(func() { b(ctx) })
		running.Wait()
	}
}
