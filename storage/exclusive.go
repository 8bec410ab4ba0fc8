package storage

import (
	"context"
	"time"
)

// Exclusive makes the caller the only one, in all processes that share a locker, who stores
// the piece of the upload that has the given name. It returns the upload as the cache knows
// it then, or false if that does not know it, and the function that lets others go on.
//
// It only saves what was acknowledged from contradicting bytes of another process, which
// no client should send: so it does not wait for long, and may let two go on.
type Exclusive func(ctx context.Context, piece string) (known Upload, ok bool, release func())

// exclusiveWithin is how long to wait for another process that stores the same piece.
const exclusiveWithin = 2 * time.Second

func (u *Uploads) exclusive(id string) Exclusive {
	return func(ctx context.Context, piece string) (Upload, bool, func()) {
		waiting, cancel := context.WithTimeout(ctx, exclusiveWithin)
		defer cancel()
		release, err := u.locker.Lock(waiting, ".piece."+id+"."+piece, func() {}) // that is no upload's id
		if err != nil {
			release = func() {}
		}
		known, err := u.cache.Get(ctx, id)
		return known, err == nil, release
	}
}
