package storage

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/tracing"
)

// settle brings an upload as far as it can go without more bytes: one that is
// complete is finished, one that is to be concatenated is, and the event of one
// that is finished is told. Everybody who looks at an upload calls it, so that a
// finish which failed, or whose answer was lost, is driven again by whoever comes
// next.
func (u *Uploads) finalize(ctx context.Context, up Upload) (Upload, error) {
	if up.Finished && up.deliveryPending() {
		u.publishFinished(context.WithoutCancel(ctx), u.event(Finished, up).replayed())
	}
	if up.Finished || !up.Complete() && len(up.Parts) == 0 {
		return up, nil
	}
	done, err, _ := u.finalizing.Do(up.ID, func() (any, error) {
		return u.finalizeOnce(context.WithoutCancel(ctx), up.ID)
	})
	if err != nil {
		return up, err
	}
	return done.(Upload).Clone(), nil
}

// owed tells whether the app has still to hear that the upload is finished. It
// does not hear so of one that only waits to be concatenated.
func (u Upload) deliveryPending() bool { return u.DeliveryPending && !u.Partial }

func (u *Uploads) finalizeOnce(ctx context.Context, id string) (Upload, error) {
	up, err := u.load(ctx, id)
	if err == nil && !up.Complete() {
		up, err = u.store.Load(ctx, id) // the index is behind, or there is more to do
		if err == nil && up.Finished {
			u.invalidate(ctx, id) // behind it is
		}
	}
	if err != nil {
		return up, err
	}
	event := u.event(Finished, up)
	if up.Finished {
		event = event.replayed()
	} else {
		if up, err = u.finish(ctx, up); err != nil {
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

// tell tells of a finished upload, and then notes that it did, unless that is for
// the outbox to say: so that, whatever comes between, it is told once at least,
// and always under the same id.
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
		u.opts.Log.WarnContext(ctx, "a finished upload is still listed", "id", e.Upload.ID, "error", err)
	}
}

// rememberTold is for how long a process remembers what it has told, to tell it
// once where it can: an index that could not be reached may go on to say that a
// finished upload is not, and Retire may fail.
const publishedTTL = 10 * time.Minute

// firstTold notes that the upload is told of, and returns whether that is news.
func (u *Uploads) firstPublished(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if now.Sub(u.forgot) > publishedTTL {
		u.forgot = now
		maps.DeleteFunc(u.published, func(_ string, at time.Time) bool { return now.Sub(at) > publishedTTL })
	}
	_, told := u.published[id]
	u.published[id] = now
	return !told
}

// finish makes the file of an upload that has all its bytes, or can get them. It
// believes what the index says the upload has; the store finds out if that is not
// so.
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

// finished returns the upload of which the file has just been made.
func (u *Uploads) finished(ctx context.Context, up Upload, sum *crc32c.Sum) (Upload, error) {
	if err := u.stillThere(ctx, up.ID); err != nil {
		return up, err
	}
	u.invalidate(ctx, up.ID)
	up.Finished, up.DeliveryPending, up.ModifiedAt, up.CRC32C = true, true, u.opts.Now(), sum
	if up.Partial {
		u.notify(ctx, u.event(Finished, up))
	}
	return up, nil
}
