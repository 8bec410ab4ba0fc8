package storage

import (
	"context"
	"errors"
	"time"
)

// Deliverer tells the app that an upload is finished. The outbox calls it, for one
// upload by one process at a time, until it returns nil: at least once, however often
// processes and the app crash.
type Deliverer interface {
	// Deliver returns nil once the app has acknowledged the event. ErrRejected means
	// that it never will: the delivery is dead-lettered. After any other error Deliver
	// is called again, not before the wait of a DeliveryDelay in it has passed.
	Deliver(ctx context.Context, d Delivery) error
}

// DelivererFunc is a function as a Deliverer.
type DelivererFunc func(ctx context.Context, d Delivery) error

// Deliver calls f.
func (f DelivererFunc) Deliver(ctx context.Context, d Delivery) error { return f(ctx, d) }

// Delivery is the event that an upload is finished, on its way to the app.
type Delivery struct {
	// ID is that of the event: the same at each attempt, by whichever process.
	ID     string
	Upload Upload
	// Origin is what OriginCapturer returned for the request that finished the upload;
	// nil for a process that did not serve that request, or has dropped it.
	Origin any
}

// OriginCapturer is a Deliverer that tells the app about the request that finished an
// upload. Origin is called in that request. It returns what Deliver needs of it, and
// about how many bytes that keeps in memory.
type OriginCapturer interface {
	Origin(ctx context.Context) (origin any, size int)
}

// DeletionNotifier is a Deliverer that also tells the app of deletions. For an upload that
// is deleted while its delivery is pending the outbox calls Deleted once the delivery is
// done, so that the app hears of both in their order. origin is that of the request that
// deleted the upload, nil in another process.
type DeletionNotifier interface {
	Deleted(ctx context.Context, up Upload, origin any)
}

// ErrRejected means that the app will never acknowledge an event.
var ErrRejected = errors.New("the app rejects the event for good")

// DeliveryDelay is an error of Deliver with the time to wait before the next attempt.
type DeliveryDelay struct {
	Err  error
	Wait time.Duration
}

func (d *DeliveryDelay) Error() string { return d.Err.Error() }

// Unwrap returns the error without the delay.
func (d *DeliveryDelay) Unwrap() error { return d.Err }

// DeliveryOptions say how and when the outbox delivers. The zero value delivers
// nothing.
type DeliveryOptions struct {
	// Deliverer tells the app. If it is nil a finished upload has no delivery, and
	// Observer.Event is all that is called for it.
	Deliverer Deliverer
	// RetryInitial is about how long after the event the second attempt is made, 5 s
	// if 0. Later ones follow at growing intervals, of 360 times as long at most.
	RetryInitial time.Duration
	// RetryMaxAge is how long after the event the last attempt is made, 72 h if 0.
	// After it the delivery is dead-lettered.
	RetryMaxAge time.Duration
	// Grace is how long attempts that are under way at the end of RunDeliveries may
	// still take, 10 s if 0.
	Grace time.Duration
}

func (o *DeliveryOptions) setDefaults() {
	if o.RetryInitial <= 0 {
		o.RetryInitial = 5 * time.Second
	}
	if o.RetryMaxAge <= 0 {
		o.RetryMaxAge = 72 * time.Hour
	}
	if o.Grace <= 0 {
		o.Grace = 10 * time.Second
	}
}

// DeliveryStats counts deliveries since the start of the process.
type DeliveryStats struct {
	Pending      int   // waiting or being delivered now
	InFlight     int64 // being delivered now
	Delivered    int64
	Failed       int64 // attempts
	DeadLettered int64
	Deferred     int64 // left to a later sweep because too many were pending
}
