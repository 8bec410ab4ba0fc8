package storage

import (
	"context"
	"errors"
	"time"
)

// tombstoneTTL is the minimum time that the tombstone of a deleted upload is kept.
const tombstoneTTL = 24 * time.Hour

// Expires returns when the upload expires if nothing is added to it: after its last byte
// plus its own ExpireAfter, or else Options.ExpireAfter. The zero time means never.
// A finished upload never expires, unless it is Partial and so only waits to be
// concatenated. A complete one expires only if finishing it fails permanently.
func (u *Uploads) Expires(up Upload) time.Time {
	after := u.lifetime(up.Record)
	if after <= 0 || up.Finished && !up.Partial {
		return time.Time{}
	}
	return up.ModifiedAt.Add(after)
}

// lifetime returns how long the upload is kept after its last byte, 0 if forever.
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

// awaitsFinish reports whether the upload is complete but not finished.
func (u Upload) awaitsFinish() bool { return u.Complete() && !u.Finished }

// Delete removes the upload, finished or not, with all its data. A write in progress
// ends with ErrGone. Calling Delete again completes a deletion that failed half way,
// although the upload is gone by then.
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

// DeleteAsAdmin is Delete without the check of Policy.Authorize.
func (u *Uploads) DeleteAsAdmin(ctx context.Context, id string) error {
	up, err := u.load(ctx, id)
	if err != nil {
		return err
	}
	return u.remove(ctx, up, Deleted)
}

// DeleteIfUnfinished deletes an upload whose creation was not reported to its client. An
// upload that was finished, so that the app may have been notified, is kept and returned.
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
