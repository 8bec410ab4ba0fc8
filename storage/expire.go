package storage

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// keepGone is how long it is remembered at least that an upload was deleted.
const keepGone = 24 * time.Hour

// Expires is when the upload goes if nothing is added to it: Options.ExpireAfter
// after its last byte. It is zero for one that stays. A finished upload stays,
// unless it is Partial and so only waits to be concatenated.
func (u *Uploads) Expires(up Upload) time.Time {
	if u.opts.ExpireAfter <= 0 || up.Finished && !up.Partial {
		return time.Time{}
	}
	return up.Touched.Add(u.opts.ExpireAfter)
}

func (u *Uploads) expired(up Upload) bool {
	at := u.Expires(up)
	return !at.IsZero() && u.opts.Now().After(at) && !u.writing(up.ID)
}

// Delete removes the upload, finished or not, with all that belongs to it. A
// write in progress ends with ErrGone.
//
// Errors: those of Get.
func (u *Uploads) Delete(ctx context.Context, id string) error {
	up, err := u.load(ctx, id)
	if err != nil {
		return err
	}
	return u.remove(ctx, up, Deleted)
}

func (u *Uploads) remove(ctx context.Context, up Upload, why EventType) error {
	if err := u.store.Delete(ctx, up.ID); err != nil {
		return err
	}
	u.drop(ctx, up.ID)
	u.notify(ctx, why, up)
	return nil
}

// Sweep looks at every upload that is not over: it finishes those that are
// complete, removes those that have expired, and clears leftovers away. What
// fails is tried again by the next Sweep; the errors are returned together.
func (u *Uploads) Sweep(ctx context.Context) error {
	var errs []error
	for id, err := range u.store.List(ctx) {
		if err != nil {
			errs = append(errs, fmt.Errorf("list uploads: %w", err))
			break
		}
		if err := u.sweepOne(ctx, id); err != nil {
			errs = append(errs, err)
		}
	}
	if c, ok := u.store.(Cleaner); ok {
		errs = append(errs, c.Clean(ctx, u.opts.Now().Add(-max(keepGone, u.opts.ExpireAfter))))
	}
	return errors.Join(errs...)
}

func (u *Uploads) sweepOne(ctx context.Context, id string) error {
	up, err := u.store.Load(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case errors.Is(err, ErrGone):
		return u.store.Delete(ctx, id) // half a delete: do the other half
	case err != nil:
		return err
	case u.expired(up):
		return u.remove(ctx, up, Expired)
	}
	_, err = u.settle(ctx, up)
	return err
}

// Run sweeps every interval until ctx is done.
func (u *Uploads) Run(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := u.Sweep(ctx); err != nil && ctx.Err() == nil {
			u.opts.Log.WarnContext(ctx, "a sweep was not complete", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
