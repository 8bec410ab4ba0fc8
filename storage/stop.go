package storage

import (
	"context"
	"time"
)

// CanAbort is a source of Write whose reads Stop can end.
type CanAbort interface {
	// Abort makes the current read and later ones fail with err, unless all has been read.
	Abort(err error)
}

// stopTimeout is how long Stop waits for another one, or for a finish that waits for a Stop.
const stopTimeout = 30 * time.Second

// Stop ends the writes to an upload in this process, whose sources fail with cause, and
// deletes the upload. An upload that has all its bytes is kept: also one that another process
// finishes meanwhile, as far as the locker keeps the two apart. Stop does not check
// Policy.Authorize.
//
// Errors: ErrNotFound, ErrGone, transient ones.
func (u *Uploads) Stop(ctx context.Context, id string, cause error) error {
	up, err := u.reload(ctx, id)
	if err != nil || up.Finished || up.Complete() {
		return err
	}
	for _, src := range u.sources(id) {
		src.Abort(cause)
	}
	unlock, err := u.lockStop(ctx, id, stopTimeout)
	if err != nil {
		return Unavailable("stop", id, err)
	}
	defer unlock()
	up, err = u.store.Load(ctx, id) // not shared with a load that began before
	if err != nil || up.Finished || up.Complete() {
		return err
	}
	return u.remove(ctx, up, Deleted)
}

// lockStop acquires the lock that a Stop holds from its decision to its end, and for which a
// finish waits, but goes on if that takes too long.
func (u *Uploads) lockStop(ctx context.Context, id string, timeout time.Duration) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return u.locker.Lock(ctx, ".stop."+id, func() {}) // not a valid upload id
}

// addSource lets Stop abort the source of a write until remove is called.
func (u *Uploads) addSource(id string, src any) (remove func()) {
	a, ok := src.(CanAbort)
	if !ok {
		return func() {}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.abortable[id] == nil {
		u.abortable[id] = map[CanAbort]bool{}
	}
	u.abortable[id][a] = true
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if delete(u.abortable[id], a); len(u.abortable[id]) == 0 {
			delete(u.abortable, id)
		}
	}
}

func (u *Uploads) sources(id string) []CanAbort {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []CanAbort
	for src := range u.abortable[id] {
		all = append(all, src)
	}
	return all
}
