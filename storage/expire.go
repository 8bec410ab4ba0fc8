package storage

import (
	"context"
	"time"
)

// keepGone is how long it is remembered at least that an upload was deleted.
const keepGone = 24 * time.Hour

// Expires is when the upload goes if nothing is added to it: Options.ExpireAfter
// after its last byte, or after its own ExpireAfter. It is zero for one that stays.
// A finished upload stays, unless it is Partial and so only waits to be concatenated.
// One that has all its bytes by then goes only if it can't be finished, for a reason that
// does not pass.
func (u *Uploads) Expires(up Upload) time.Time {
	after := u.lifetime(up.Record)
	if after <= 0 || up.Finished && !up.Partial {
		return time.Time{}
	}
	return up.Touched.Add(after)
}

// lifetime is how long the upload is kept after its last byte, 0 for ever.
func (u *Uploads) lifetime(rec Record) time.Duration {
	if rec.ExpireAfter > 0 {
		return rec.ExpireAfter
	}
	return u.opts.ExpireAfter
}

func (u *Uploads) expired(up Upload) bool {
	at := u.Expires(up)
	return !at.IsZero() && u.opts.Now().After(at) && !u.writing(up.ID)
}

// unfinished tells whether all that the upload lacks is to be finished.
func (u Upload) unfinished() bool { return u.Complete() && !u.Finished }

// Delete removes the upload, finished or not, with all that belongs to it. A
// write in progress ends with ErrGone.
//
// Errors: those of Get.
func (u *Uploads) Delete(ctx context.Context, id string) error {
	up, err := u.permitted(ctx, id)
	if err != nil {
		return err
	}
	return u.remove(ctx, up, Deleted)
}

// Discard is Delete at the wish of the server's owner: Options.Permit is not asked.
func (u *Uploads) Discard(ctx context.Context, id string) error {
	up, err := u.load(ctx, id)
	if err != nil {
		return err
	}
	return u.remove(ctx, up, Deleted)
}

// Abandon deletes an upload of which its client has not heard. One that somebody has
// finished, so that the app may have heard of it, stays, and is returned as it is.
func (u *Uploads) Abandon(ctx context.Context, id string) (Upload, error) {
	ctx = context.WithoutCancel(ctx)
	up, err := u.store.Load(ctx, id)
	if err != nil || up.Finished {
		return up, err
	}
	return up, u.remove(ctx, up, Deleted)
}

func (u *Uploads) remove(ctx context.Context, up Upload, why EventType) error {
	if err := u.deleteStored(ctx, up); err != nil {
		return err
	}
	u.drop(ctx, up.ID)
	u.notify(ctx, u.event(why, up))
	return nil
}

func (u *Uploads) deleteStored(ctx context.Context, up Upload) error {
	if d, ok := u.store.(ExactDeleter); ok {
		return d.DeleteCreated(ctx, up)
	}
	return u.store.Delete(ctx, up.ID)
}
