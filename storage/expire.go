package storage

import (
	"context"
	"errors"
	"time"
)

// keepGone is how long it is remembered at least that an upload was deleted.
const tombstoneTTL = 24 * time.Hour

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
	return up.ModifiedAt.Add(after)
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
func (u Upload) awaitsFinish() bool { return u.Complete() && !u.Finished }

// Delete removes the upload, finished or not, with all that belongs to it. A
// write in progress ends with ErrGone. A deletion that failed half way is completed by the
// next one, though the upload is gone then.
//
// Errors: those of Get.
func (u *Uploads) Delete(ctx context.Context, id string) error {
	up, err := u.authorized(ctx, id)
	if errors.Is(err, ErrGone) {
		return u.completeDeletion(ctx, id, err)
	}
	if err != nil {
		return err
	}
	return u.remove(ctx, up, Deleted)
}

// Discard is Delete at the wish of the server's owner: Policy.Authorize is not asked.
func (u *Uploads) DeleteAsAdmin(ctx context.Context, id string) error {
	up, err := u.load(ctx, id)
	if err != nil {
		return err
	}
	return u.remove(ctx, up, Deleted)
}

// Abandon deletes an upload of which its client has not heard. One that somebody has
// finished, so that the app may have heard of it, stays, and is returned as it is.
func (u *Uploads) DeleteIfUnfinished(ctx context.Context, id string) (Upload, error) {
	ctx = context.WithoutCancel(ctx)
	up, err := u.store.Load(ctx, id)
	if err != nil || up.Finished {
		return up, err
	}
	return up, u.remove(ctx, up, Deleted)
}

func (u *Uploads) deleteStored(ctx context.Context, up Upload) error {
	if d, ok := u.store.(ExactDeleter); ok {
		return d.DeleteCreated(ctx, up)
	}
	return u.store.Delete(ctx, up.ID)
}
