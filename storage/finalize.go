package storage

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/tracing"
)

// finalize advances an upload as far as possible without more bytes: it finishes or
// concatenates it, and publishes its pending event. Every access to an upload
// calls it, so that a finish that failed, or whose response was lost, is retried by
// the next request.
func (u *Uploads) finalize(ctx context.Context, up Upload) (Upload, error) {
	if up.Finished && up.deliveryPending() {
		u.publishFinished(context.WithoutCancel(ctx), u.event(Finished, up).replayed())
	}
	if up.Finished {
		return up, checkExpected(ctx, up.CRC32C)
	}
	if !up.Complete() && len(up.Parts) == 0 {
		return up, nil
	}
	done, err, _ := u.finalizing.Do(up.ID, func() (any, error) {
		return u.finalizeOnce(context.WithoutCancel(ctx), up.ID)
	})
	if err != nil {
		return up, err
	}
	up = done.(Upload).Clone()
	return up, checkExpected(ctx, up.CRC32C)
}

// deliveryPending reports whether the app has yet to be notified that the upload is
// finished. Partial uploads are never announced.
func (u Upload) deliveryPending() bool { return u.DeliveryPending && !u.Partial }

func (u *Uploads) finalizeOnce(ctx context.Context, id string) (Upload, error) {
	up, err := u.load(ctx, id)
	if err == nil && !up.Complete() {
		up, err = u.store.Load(ctx, id) // the cache is stale, or the upload needs concatenation
		if err == nil && up.Finished {
			u.invalidate(ctx, id) // stale
		}
	}
	if err != nil {
		return up, err
	}
	event := u.event(Finished, up)
	if up.Finished {
		event = event.replayed()
	} else {
		if up, err = u.finishUnstopped(ctx, up); err != nil {
			if errors.Is(err, ErrGone) {
				err = errors.Join(err, u.undo(ctx, id))
			}
			return up, err
		}
		event.Upload = up
	}
	if up.deliveryPending() {
		u.publishFinished(ctx, event)
	}
	return up, nil
}

// publishFinished publishes the event of a finished upload, and then records it as
// delivered, or enqueues the delivery if there is an outbox. So the event is published
// at least once, always with the same id.
func (u *Uploads) publishFinished(ctx context.Context, e Event) {
	if u.firstPublished(e.Upload.ID) {
		u.notify(ctx, e)
	}
	if u.enqueue != nil {
		if !e.Upload.DeadLettered {
			u.enqueue(ctx, e)
		}
		return
	}
	if err := u.store.MarkDelivered(ctx, e.Upload); err != nil {
		u.opts.Log.WarnContext(ctx, "cannot mark a finished upload as delivered", "id", e.Upload.ID, "error", err)
	}
}

// publishedTTL is how long a process remembers which finished uploads it has published,
// to publish each only once: a cache that was unreachable may still hold a finished
// upload as unfinished, and MarkDelivered may fail.
const publishedTTL = 10 * time.Minute

// firstPublished records that the upload's event is published, and reports whether this
// is the first time.
func (u *Uploads) firstPublished(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if now.Sub(u.publishedPruned) > publishedTTL {
		u.publishedPruned = now
		maps.DeleteFunc(u.published, func(_ string, at time.Time) bool { return now.Sub(at) > publishedTTL })
	}
	_, published := u.published[id]
	u.published[id] = now
	return !published
}

// finishTimeout is how long a finish waits for a Stop.
const finishTimeout = 10 * time.Second

// finishUnstopped is finish once no Stop is deciding about the upload. What such a Stop has
// deleted, the finish finds to be gone. A later one finds that the upload is complete, and keeps
// it, so that processes which finish an upload at once need not wait for each other; but a
// concatenation is incomplete until it is finished.
func (u *Uploads) finishUnstopped(ctx context.Context, up Upload) (Upload, error) {
	if unlock, err := u.lockStop(ctx, up.ID, finishTimeout); err == nil {
		if up.Complete() {
			unlock()
		} else {
			defer unlock()
		}
	}
	return u.finish(ctx, up)
}

// finish makes the file of a complete upload, or of one to be concatenated. It
// trusts the cached ranges; the store detects if they are wrong.
func (u *Uploads) finish(ctx context.Context, up Upload) (_ Upload, err error) {
	ctx, end := tracing.Start(ctx, "finish", up.ID)
	defer func() { end(err) }()
	if !up.Complete() && len(up.Parts) > 0 {
		return u.concatenate(ctx, up)
	}
	if !up.Complete() {
		u.invalidate(ctx, up.ID)
		return up, Unavailable("finish", up.ID, ErrIncomplete)
	}
	if err := u.verify(ctx, up); err != nil {
		return up, err
	}
	if err := u.runBeforeFinish(ctx, up); err != nil {
		return up, err
	}
	done, err := u.store.Finish(ctx, up)
	if errors.Is(err, ErrIncomplete) {
		u.invalidate(ctx, up.ID)
		return up, Unavailable("finish", up.ID, err)
	}
	if err != nil {
		return up, err
	}
	return u.finished(ctx, up, done.CRC32C)
}

func (u *Uploads) runBeforeFinish(ctx context.Context, up Upload) error {
	if u.opts.Policy.BeforeFinish == nil {
		return nil
	}
	return u.opts.Policy.BeforeFinish(ctx, up)
}

// finished returns the upload after its file was made.
func (u *Uploads) finished(ctx context.Context, up Upload, sum *crc32c.Sum) (Upload, error) {
	if err := u.checkNotDeleted(ctx, up.ID); err != nil {
		return up, err
	}
	u.invalidate(ctx, up.ID)
	up.Finished, up.DeliveryPending, up.ModifiedAt, up.CRC32C = true, true, u.opts.Now(), sum
	if up.Partial {
		u.notify(ctx, u.event(Finished, up))
	}
	return up, nil
}
