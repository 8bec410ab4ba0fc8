package storage

import (
	"context"
	"errors"
	"time"
)

// Deliverer notifies the app that an upload is finished. The outbox calls it, for one
// upload by one process at a time, until it returns nil: at least once, even if
// processes or the app crash.
type Deliverer interface {
	// Deliver returns nil once the app has acknowledged the event. ErrRejected means
	// that it never will: the delivery is dead-lettered. After any other error Deliver
	// is called again, not before the wait of a DeliveryDelay in it has passed.
	Deliver(ctx context.Context, d Delivery) error
}

// DelivererFunc is an adapter that makes a function a Deliverer.
type DelivererFunc func(ctx context.Context, d Delivery) error

// Deliver calls f.
func (f DelivererFunc) Deliver(ctx context.Context, d Delivery) error { return f(ctx, d) }

// Delivery is the event that an upload is finished, on its way to the app.
type Delivery struct {
	// ID is that of the event: the same at each attempt, by any process.
	ID     string
	Upload Upload
	// Origin is what OriginCapturer returned for the request that finished the upload;
	// nil for a process that did not serve that request, or has dropped it.
	Origin any
}

// OriginCapturer is a Deliverer that passes on details of the request that finished an
// upload. Origin is called in that request. It returns what Deliver needs to know of it,
// and approximately how many bytes of memory that occupies.
type OriginCapturer interface {
	Origin(ctx context.Context) (origin any, size int)
}

// DeletionNotifier is a Deliverer that also notifies the app of deletions. For an upload
// that is deleted while its delivery is pending the outbox calls Deleted once the delivery
// is done, so that the app receives both in order. origin is that of the request that
// deleted the upload, nil in another process.
type DeletionNotifier interface {
	Deleted(ctx context.Context, up Upload, origin any)
}

// ErrRejected means that the app will never acknowledge an event.
var ErrRejected = errors.New("the app permanently rejected the event")

// DeliveryDelay is an error of Deliver with the time to wait before the next attempt.
type DeliveryDelay struct {
	Err  error
	Wait time.Duration
}

func (d *DeliveryDelay) Error() string { return d.Err.Error() }

// Unwrap returns the error without the delay.
func (d *DeliveryDelay) Unwrap() error { return d.Err }

// DeliveryOptions configure the outbox. The zero value delivers nothing.
type DeliveryOptions struct {
	// Deliverer notifies the app. If it is nil a finished upload has no delivery, and
	// only Observer.Event is called.
	Deliverer Deliverer
	// RetryInitial is approximately how long after the event the second attempt is made,
	// 5 s if 0. Later ones follow at growing intervals of up to 360 times as long.
	RetryInitial time.Duration
	// RetryMaxAge is how long after the event the last attempt is made, 72 h if 0.
	// After it the delivery is dead-lettered.
	RetryMaxAge time.Duration
	// Grace is how long attempts in flight at the end of RunDeliveries may still take,
	// 10 s if 0.
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
