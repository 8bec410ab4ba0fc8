package storage

import (
	"context"
	"time"
)

// OnEnqueue replaces the outbox: f is called with each event to deliver.
func (u *Uploads) OnEnqueue(f func(context.Context, Event)) { u.enqueue = f }

// Enqueue hands an event to the outbox.
func (u *Uploads) Enqueue(ctx context.Context, e Event) { u.enqueue(ctx, e) }

// MarkDelivered records a delivery as the outbox does.
func (u *Uploads) MarkDelivered(ctx context.Context, up Upload) error {
	return u.markDelivered(ctx, up)
}

// DeadLetter records the end of all attempts as the outbox does.
func (u *Uploads) DeadLetter(ctx context.Context, up Upload) error {
	return u.store.DeadLetter(ctx, up)
}

// ScheduledAt returns when attempt n of an event is made by default.
func ScheduledAt(event string, occurred time.Time, n int64) time.Time {
	return schedule{first: 5 * time.Second, last: 72 * time.Hour}.at(event, occurred, n)
}
