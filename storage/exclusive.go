package storage

import (
	"context"
	"time"
)

// Exclusive acquires a lock on the named extent of the upload, among all processes that
// share a locker. It returns the cached state of the upload, or false if it is not cached,
// and the function that releases the lock.
//
// It only protects acknowledged bytes from different bytes for the same range in another
// process, which no client should send: so it is best effort, and returns without the
// lock after a short wait.
type Exclusive func(ctx context.Context, extent string) (cached Upload, ok bool, release func())

// exclusiveTimeout is how long to wait for another process that stores the same extent.
const exclusiveTimeout = 2 * time.Second

func (u *Uploads) exclusive(id string) Exclusive {
	return func(ctx context.Context, extent string) (Upload, bool, func()) {
		waiting, cancel := context.WithTimeout(ctx, exclusiveTimeout)
		defer cancel()
		release, err := u.locker.Lock(waiting, ".extent."+id+"."+extent, func() {}) // not a valid upload id
		if err != nil {
			release = func() {}
		}
		cached, err := u.cache.Get(ctx, id)
		return cached, err == nil, release
	}
}
