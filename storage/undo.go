package storage

import (
	"context"
	"errors"
)

// remove deletes an upload. It is removed from the cache before the store removes anything:
// so a concurrent write whose data the deletion misses finds afterwards that the upload is
// no longer cached, and checks whether it is gone.
func (u *Uploads) remove(ctx context.Context, up Upload, typ EventType) error {
	if up.AwaitsDelivery() && u.enqueue == nil {
		u.publishFinished(ctx, u.event(Finished, up).replayed())
	}
	u.invalidate(ctx, up.ID)
	err := u.deleteStored(ctx, up)
	u.recordDeletion(up, typ, err)
	if err != nil {
		return err
	}
	u.invalidate(ctx, up.ID)
	u.notify(ctx, u.event(typ, up))
	if up.AwaitsDelivery() && u.outbox != nil {
		u.outbox.deleted(ctx, up)
	}
	return nil
}

// deletion is a deletion that failed half way.
type deletion struct {
	Upload
	event EventType
}

// maxFailedDeletions is the maximum number of failed deletions that are remembered. Others
// are completed too, but the app is not notified of them.
const maxFailedDeletions = 10_000

// recordDeletion remembers a deletion that failed: when it is retried the store may only
// report that the upload is gone.
func (u *Uploads) recordDeletion(up Upload, typ EventType, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case err == nil:
		delete(u.failedDeletions, up.ID)
	case len(u.failedDeletions) < maxFailedDeletions:
		u.failedDeletions[up.ID] = deletion{up, typ}
	}
}

func (u *Uploads) failedDeletion(id string) (d deletion, failed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	d, failed = u.failedDeletions[id]
	return d, failed
}

// completeDeletion removes what a failed deletion has left. If the deletion failed on
// another node, or is complete, it returns gone, the error of the caller.
func (u *Uploads) completeDeletion(ctx context.Context, id string, gone error) error {
	d, failed := u.failedDeletion(id)
	if !failed {
		return errors.Join(gone, u.undo(ctx, id))
	}
	if u.opts.Policy.Authorize != nil {
		if err := u.opts.Policy.Authorize(ctx, d.Upload); err != nil {
			return err
		}
	}
	return u.remove(ctx, d.Upload, d.event)
}

// resumeDeletion completes a deletion for the sweep.
func (u *Uploads) resumeDeletion(ctx context.Context, id string) error {
	if d, failed := u.failedDeletion(id); failed {
		return u.remove(ctx, d.Upload, d.event)
	}
	return u.store.Delete(ctx, id)
}

// undo removes what was stored of an upload while another request, on any node, deleted it
// and missed some of its data. It does not change an upload whose deletion has not begun:
// that the store reports it as gone may be temporary.
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

// checkNotDeleted returns ErrGone if the upload was deleted while its file was made; the
// caller then removes the file. An upload that is still cached was not deleted, so that
// the store is only asked about others.
func (u *Uploads) checkNotDeleted(ctx context.Context, id string) error {
	if _, err := u.cache.Get(ctx, id); err == nil {
		return nil
	}
	_, err := u.store.Load(ctx, id)
	if errors.Is(err, ErrGone) {
		return err
	}
	return nil // another error does not make a finished upload unfinished
}
