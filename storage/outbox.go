package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-upload/holdfast/storage/tracing"
)

// maxInFlight is the maximum number of concurrent deliveries of a process.
const maxInFlight = 16

// outbox delivers the events of finished uploads at least once. An upload whose event
// has not been acknowledged is marked in the store, where any process finds it; the
// outbox itself keeps only the deliveries that are pending in this process. A delivery
// goes from pending to delivered, or to dead-lettered once the app rejects it or
// DeliveryOptions.RetryMaxAge has passed.
type outbox struct {
	core     *Uploads
	opts     DeliveryOptions
	log      *slog.Logger
	schedule schedule
	queue    *deliveryQueue

	inFlight, delivered, failed, deadLettered, deferred atomic.Int64
}

func newOutbox(core *Uploads, opts DeliveryOptions, log *slog.Logger) *outbox {
	opts.setDefaults()
	return &outbox{core: core, opts: opts, log: log, schedule: schedule{opts.RetryInitial, opts.RetryMaxAge}, queue: newDeliveryQueue()}
}

// enqueue adds the event of an upload whose delivery is pending. The same event may be
// enqueued several times, by any process. It does not block.
func (o *outbox) enqueue(ctx context.Context, e Event) {
	d := &pendingDelivery{event: e.ID, upload: e.Upload.ID, occurredAt: e.Upload.ModifiedAt}
	now := time.Now()
	if e.Local {
		d.at, d.span = now, trace.SpanFromContext(ctx)
		origin, size := o.origin(ctx)
		o.queue.keep(d, e.Upload, origin, size)
	} else {
		d.at = o.schedule.afterOthers(d.event, d.occurredAt, now)
	}
	if !o.queue.add(d) {
		o.deferred.Add(1)
	}
}

func (o *outbox) origin(ctx context.Context) (origin any, size int) {
	if c, ok := o.opts.Deliverer.(OriginCapturer); ok {
		return c.Origin(ctx)
	}
	return nil, 0
}

// deleted enqueues the notification of the deletion of an upload whose delivery is
// pending.
func (o *outbox) deleted(ctx context.Context, up Upload) {
	n, ok := o.opts.Deliverer.(DeletionNotifier)
	if !ok {
		return
	}
	d := &pendingDelivery{event: EventID(up.ID, Finished), upload: up.ID, occurredAt: up.ModifiedAt}
	d.at = o.schedule.afterOthers(d.event, d.occurredAt, time.Now())
	origin, size := o.origin(ctx)
	if !o.queue.addDeleted(d, up, origin, size) {
		n.Deleted(ctx, up, origin)
	}
}

// notifyDeleted notifies the app of the deletion of an upload whose delivery is done.
func (o *outbox) notifyDeleted(ctx context.Context, up Upload, origin any) {
	if n, ok := o.opts.Deliverer.(DeletionNotifier); ok {
		n.Deleted(ctx, up, origin)
	}
}

// run makes deliveries when they are due until ctx is done, and then waits up to
// DeliveryOptions.Grace for those in flight.
func (o *outbox) run(ctx context.Context) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(o.opts.Grace, cancel) })
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	free := make(chan struct{}, maxInFlight)
	for {
		free <- struct{}{}
		d := o.queue.take(ctx)
		if d == nil {
			return
		}
		running.Go(func() {
			defer func() { <-free }()
			o.handle(work, d)
		})
	}
}

// handle makes one attempt, and schedules the next one if needed.
func (o *outbox) handle(ctx context.Context, d *pendingDelivery) {
	again, wait := o.attempt(ctx, d)
	if !again {
		if up, origin := o.queue.done(d); up != nil {
			o.notifyDeleted(ctx, *up, origin)
		} else if d.deletedElsewhere != nil {
			o.notifyDeleted(ctx, *d.deletedElsewhere, nil)
		}
		return
	}
	d.attempted, d.local = true, nil
	o.queue.retry(d, o.nextAttempt(d, time.Now().Add(wait)))
}

// nextAttempt returns the first scheduled time after the given one. If there is none, the
// delivery could not be dead-lettered: that is retried after the longest interval.
func (o *outbox) nextAttempt(d *pendingDelivery, after time.Time) time.Time {
	if at, ok := o.schedule.next(d.event, d.occurredAt, after); ok {
		return at
	}
	return after.Add(maxStep * o.opts.RetryInitial)
}

// lockWait is how long to wait for the lock of a delivery, whose holder is making it.
// After a failed attempt the lock is kept four times as long, 1 s by default: all nodes
// try at the same scheduled times, and their clocks may differ by that much.
func (o *outbox) lockWait() time.Duration {
	return min(max(o.opts.RetryInitial/20, 5*time.Millisecond), 250*time.Millisecond)
}

// attempt makes a delivery unless another process is making it or has made it. It
// returns whether, and after which wait, more attempts are needed.
func (o *outbox) attempt(ctx context.Context, d *pendingDelivery) (again bool, wait time.Duration) {
	waiting, cancel := context.WithTimeout(ctx, o.lockWait())
	defer cancel()
	unlock, err := o.core.lockDelivery(waiting, d.upload)
	if err != nil {
		return true, 0
	}
	defer func() {
		if again { // so that no other process makes this scheduled attempt too
			time.AfterFunc(4*o.lockWait(), unlock)
			return
		}
		unlock()
	}()
	up, pending, err := o.load(ctx, d)
	switch {
	case err != nil:
		o.log.WarnContext(ctx, "cannot load delivery state", "id", d.upload, "error", err)
		return true, 0
	case !pending || up.DeadLettered:
		return false, 0
	}
	return o.attemptLocked(ctx, d, up)
}

func (o *outbox) load(ctx context.Context, d *pendingDelivery) (Upload, bool, error) {
	if d.local != nil {
		return *d.local, true, nil
	}
	up, pending, err := o.core.PendingDelivery(ctx, d.upload)
	if err == nil && pending && !up.ModifiedAt.IsZero() {
		d.occurredAt = up.ModifiedAt // the same on all nodes
	}
	return up, pending, err
}

func (o *outbox) attemptLocked(ctx context.Context, d *pendingDelivery, up Upload) (again bool, wait time.Duration) {
	if !d.acked && !d.rejected {
		if wait, err := o.deliver(ctx, d, up); err != nil {
			return o.retryOrGiveUp(ctx, d, up, wait, err)
		}
	}
	if d.rejected {
		return !o.deadLetter(ctx, d, up, ErrRejected), 0
	}
	if err := o.core.markDelivered(ctx, up); err != nil {
		o.log.WarnContext(ctx, "event delivered, but recording it failed; it may be delivered again", "id", d.upload, "error", err)
		return true, 0
	}
	if up.Deleted {
		d.deletedElsewhere = &up
	}
	o.log.InfoContext(ctx, "event delivered", "id", d.upload, "event", d.event)
	return false, 0
}

// deliver calls the Deliverer once and keeps the app's response in d. Without a response
// it returns an error, and the minimum time to wait before the next attempt.
func (o *outbox) deliver(ctx context.Context, d *pendingDelivery, up Upload) (time.Duration, error) {
	if d.span != nil {
		ctx = trace.ContextWithSpan(ctx, d.span)
	}
	ctx, end := tracing.Start(ctx, "deliver", d.upload)
	o.inFlight.Add(1)
	err := o.opts.Deliverer.Deliver(ctx, Delivery{ID: d.event, Upload: up.Clone(), Origin: d.origin})
	o.inFlight.Add(-1)
	end(err)
	switch {
	case err == nil:
		d.acked = true
		o.delivered.Add(1)
		return 0, nil
	case errors.Is(err, ErrRejected):
		d.rejected = true
		return 0, nil
	}
	var delay *DeliveryDelay
	if errors.As(err, &delay) {
		return delay.Wait, err
	}
	return 0, err
}

// retryOrGiveUp dead-letters a delivery past its last attempt. The first failure of a
// delivery is logged as a warning, later ones for debugging only.
func (o *outbox) retryOrGiveUp(ctx context.Context, d *pendingDelivery, up Upload, wait time.Duration, err error) (bool, time.Duration) {
	o.failed.Add(1)
	next, more := o.schedule.next(d.event, d.occurredAt, time.Now().Add(wait))
	if !more && ctx.Err() == nil {
		return !o.deadLetter(ctx, d, up, err), wait
	}
	log := o.log.WarnContext
	if d.attempted {
		log = o.log.DebugContext
	}
	log(ctx, "delivery failed; it will be retried", "id", d.upload, "event", d.event, "error", err, "next", next)
	return true, wait
}

// deadLetter ends automatic attempts, and reports whether that is recorded.
func (o *outbox) deadLetter(ctx context.Context, d *pendingDelivery, up Upload, reason error) bool {
	if err := o.core.store.DeadLetter(ctx, up); err != nil {
		o.log.WarnContext(ctx, "cannot record a dead-lettered delivery", "id", d.upload, "error", err)
		return false
	}
	o.deadLettered.Add(1)
	o.log.ErrorContext(ctx, "delivery dead-lettered; retry it with: holdfast deliveries retry", "id", d.upload, "event", d.event, "error", reason)
	return true
}

// redeliver makes an attempt now, for a delivery that is pending or dead-lettered.
func (o *outbox) redeliver(ctx context.Context, id string) error {
	waiting, cancel := context.WithTimeout(ctx, o.opts.Grace)
	defer cancel()
	unlock, err := o.core.lockDelivery(waiting, id)
	if err != nil {
		return fmt.Errorf("another attempt is being made: %w", err)
	}
	defer unlock()
	up, pending, err := o.core.PendingDelivery(ctx, id)
	switch {
	case err != nil:
		return err
	case !pending:
		return ErrNotPending
	}
	d := &pendingDelivery{event: EventID(up.ID, Finished), upload: up.ID, occurredAt: up.ModifiedAt}
	if _, err := o.deliver(ctx, d, up); err != nil {
		o.failed.Add(1)
		return err
	}
	if d.rejected {
		if !up.DeadLettered {
			o.deadLetter(ctx, d, up, ErrRejected)
		}
		return ErrRejected
	}
	if err := o.core.markDelivered(ctx, up); err != nil {
		return err
	}
	if up.Deleted {
		o.notifyDeleted(ctx, up, nil)
	}
	return nil
}

func (o *outbox) stats() DeliveryStats {
	return DeliveryStats{
		Pending: o.queue.pending(), InFlight: o.inFlight.Load(), Delivered: o.delivered.Load(),
		Failed: o.failed.Load(), DeadLettered: o.deadLettered.Load(), Deferred: o.deferred.Load(),
	}
}
