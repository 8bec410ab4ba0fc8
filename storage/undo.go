package storage

import (
	"context"
	"errors"
)

// remove deletes an upload. The index forgets it before the store removes anything: so one
// who stores something that the deletion does not find sees afterwards that the index does
// not know the upload any more, and looks whether it is gone.
func (u *Uploads) remove(ctx context.Context, up Upload, why EventType) error {
	if up.AwaitsDelivery() && u.enqueue == nil {
		u.publishFinished(ctx, u.event(Finished, up).replayed())
	}
	u.invalidate(ctx, up.ID)
	err := u.deleteStored(ctx, up)
	u.noteDeletion(up, why, err)
	if err != nil {
		return err
	}
	u.invalidate(ctx, up.ID)
	u.notify(ctx, u.event(why, up))
	if up.AwaitsDelivery() && u.outbox != nil {
		u.outbox.deleted(ctx, up)
	}
	return nil
}

// deletion is one that failed half way.
type deletion struct {
	Upload
	why EventType
}

// maxBroken is how many deletions that failed are remembered at most. Of others the app
// does not hear, though they are completed.
const maxBroken = 10_000

// noteDeletion remembers a deletion that failed: when it is tried again the store may say
// that the upload is gone, and no more.
func (u *Uploads) noteDeletion(up Upload, why EventType, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case err == nil:
		delete(u.failedDeletions, up.ID)
	case len(u.failedDeletions) < maxBroken:
		u.failedDeletions[up.ID] = deletion{up, why}
	}
}

func (u *Uploads) failedDeletion(id string) (d deletion, failed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	d, failed = u.failedDeletions[id]
	return d, failed
}

// completeDeletion removes what a deletion has left that failed half way. For one that
// failed on another node, or is complete, it returns why, which is that the upload is gone.
func (u *Uploads) completeDeletion(ctx context.Context, id string, why error) error {
	d, failed := u.failedDeletion(id)
	if !failed {
		return errors.Join(why, u.undo(ctx, id))
	}
	if u.opts.Policy.Authorize != nil {
		if err := u.opts.Policy.Authorize(ctx, d.Upload); err != nil {
			return err
		}
	}
	return u.remove(ctx, d.Upload, d.why)
}

// halfDeleted completes a deletion for the sweep.
func (u *Uploads) halfDeleted(ctx context.Context, id string) error {
	if d, failed := u.failedDeletion(id); failed {
		return u.remove(ctx, d.Upload, d.why)
	}
	return u.store.Delete(ctx, id)
}

// undo removes what was stored of an upload that another request, on this node or another
// one, has deleted meanwhile without finding all of it. Of any other upload it changes
// nothing: that the store calls it gone may pass.
func (u *Uploads) undo(ctx context.Context, id string) error {
	c, ok := u.store.(DeletionCompleter)
	if !ok {
		return nil
	}
	deleted, err := c.CompleteDeletion(ctx, id)
	if deleted {
		u.invalidate(ctx, id)
	}
	return err
}

// stillThere returns ErrGone if the upload was deleted while its file was made, which is
// removed then. As long as the index knows the upload nothing has deleted it, and the
// store need not be asked.
func (u *Uploads) stillThere(ctx context.Context, id string) error {
	if _, err := u.cache.Get(ctx, id); err == nil {
		return nil
	}
	_, err := u.store.Load(ctx, id)
	if errors.Is(err, ErrGone) {
		return err // the caller undoes it
	}
	return nil // that it can't be told now is no reason to call a finished upload unfinished
}
