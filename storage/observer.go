package storage

import (
	"context"
	"time"
)

// Observer is notified of what happens to uploads. Each function may be nil. None may
// block.
type Observer struct {
	// Event is called in the request that caused an event, or in the sweep.
	Event func(ctx context.Context, e Event)
	// Progress is called each time a write has stored data of an incomplete upload, in
	// that write. It must not change the upload.
	Progress func(ctx context.Context, up Upload)
	// Sweep is called after each sweep of Run with how long it took, and its error.
	Sweep func(took time.Duration, err error)
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
	}
	return all
}
