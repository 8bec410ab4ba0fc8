package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// Errors of Redeliver.
var (
	// ErrNotPending means that there is no pending delivery for an upload.
	ErrNotPending = errors.New("no pending delivery for this upload")
	// ErrNoDeliverer means that no Deliverer is set.
	ErrNoDeliverer = errors.New("no delivery is configured")
)

// RunDeliveries makes pending deliveries until ctx is done, and then waits up to
// DeliveryOptions.Grace for those in flight. Without a Deliverer it returns at once.
func (u *Uploads) RunDeliveries(ctx context.Context) {
	if u.outbox != nil {
		u.outbox.run(ctx)
	}
}

// HasDeliverer reports whether events of finished uploads are delivered.
func (u *Uploads) HasDeliverer() bool { return u.outbox != nil }

// Redeliver delivers the event of a finished upload now, pending or dead-lettered, and
// returns nil once the app has acknowledged it.
//
// Errors: ErrBadID, ErrNoDeliverer, ErrNotPending, ErrRejected, ErrLocked while another
// attempt is being made, transient ones, and those of the Deliverer.
func (u *Uploads) Redeliver(ctx context.Context, id string) error {
	if err := CheckID(id); err != nil {
		return err
	}
	if u.outbox == nil {
		return ErrNoDeliverer
	}
	return u.outbox.redeliver(ctx, id)
}

// DeliveryStats returns what this process has delivered so far.
func (u *Uploads) DeliveryStats() DeliveryStats {
	if u.outbox == nil {
		return DeliveryStats{}
	}
	return u.outbox.stats()
}

// AwaitsDelivery reports whether the event of a finished upload is pending, and not
// dead-lettered.
func (u Upload) AwaitsDelivery() bool { return u.Finished && u.deliveryPending() && !u.DeadLettered }

// PendingDelivery returns a finished upload whose event has not been acknowledged, as
// the store has it now, and false if there is none. The upload may be Deleted: then the
// app is notified that it was finished, and after that that it was deleted.
//
// Errors: ErrBadID and transient ones.
func (u *Uploads) PendingDelivery(ctx context.Context, id string) (Upload, bool, error) {
	if err := CheckID(id); err != nil {
		return Upload{}, false, err
	}
	up, err := u.store.Load(ctx, id)
	if errors.Is(err, ErrGone) && up.Deleted {
		return up, up.deliveryPending(), nil
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) {
		return Upload{}, false, nil
	}
	return up, err == nil && up.Finished && up.deliveryPending(), err
}

// PendingDeliveries yields the uploads whose events have not been acknowledged,
// dead-lettered ones among them. An upload that cannot be loaded is skipped, and its
// error yielded.
func (u *Uploads) PendingDeliveries(ctx context.Context) iter.Seq2[Upload, error] {
	return func(yield func(Upload, error) bool) {
		for id, err := range u.store.List(ctx) {
			var up Upload
			pending := err != nil
			if err == nil {
				up, pending, err = u.PendingDelivery(ctx, id)
			}
			if (pending || err != nil) && !yield(up, err) {
				return
			}
		}
	}
}

// markDelivered records that the app has acknowledged the event of a finished upload.
func (u *Uploads) markDelivered(ctx context.Context, up Upload) error {
	if err := u.store.MarkDelivered(ctx, up); err != nil {
		return fmt.Errorf("record the delivery of %s: %w", up.ID, err)
	}
	return nil
}

// lockDelivery acquires the lock, shared by all nodes, for delivering the event of an
// upload. If ctx is done first it returns ErrLocked.
func (u *Uploads) lockDelivery(ctx context.Context, id string) (unlock func(), err error) {
	return u.locker.Lock(ctx, ".deliver."+id, func() {}) // not a valid upload id
}
