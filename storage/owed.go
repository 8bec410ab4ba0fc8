package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// Owed returns a finished upload of which the app has still to hear, as the store
// has it now. It returns false if there is nothing to tell. Of one that is Deleted the
// app has to hear that it was finished, and then that it was deleted.
//
// Errors: ErrBadID and transient ones.
func (u *Uploads) Owed(ctx context.Context, id string) (Upload, bool, error) {
	if err := CheckID(id); err != nil {
		return Upload{}, false, err
	}
	up, err := u.store.Load(ctx, id)
	if errors.Is(err, ErrGone) && up.Deleted {
		return up, up.owed(), nil
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) {
		return Upload{}, false, nil
	}
	return up, err == nil && up.Finished && up.owed(), err
}

// AllOwed yields the uploads of which the app has still to hear, Parked ones among
// them. An upload that can't be looked at is passed over, and its error yielded.
func (u *Uploads) AllOwed(ctx context.Context) iter.Seq2[Upload, error] {
	return func(yield func(Upload, error) bool) {
		for id, err := range u.store.List(ctx) {
			var up Upload
			owed := err != nil
			if err == nil {
				up, owed, err = u.Owed(ctx, id)
			}
			if (owed || err != nil) && !yield(up, err) {
				return
			}
		}
	}
}

// Told notes that the app has heard that the upload is finished. It is to be called
// by whoever Options.Deliver has given it to.
func (u *Uploads) Told(ctx context.Context, up Upload) error {
	if err := u.store.Retire(ctx, up); err != nil {
		return fmt.Errorf("note that %s was told of: %w", up.ID, err)
	}
	return nil
}

// Park notes that the app is not to be told of the upload any more, unless somebody
// wishes it: it stays Owed.
func (u *Uploads) Park(ctx context.Context, up Upload) error { return u.store.Park(ctx, up) }

// LockTelling waits until the caller alone, of all nodes, tells of an upload, and
// returns what ends that. If ctx is done first it returns ErrLocked.
func (u *Uploads) LockTelling(ctx context.Context, id string) (unlock func(), err error) {
	return u.locker.Lock(ctx, ".tell."+id, func() {}) // that is no upload's id
}
