package storage

import "context"

// Locker provides one lock per upload, so that a client's new request stops its
// previous, dead one. It is an optimization: two holders at once lose no data, unless the
// application stops an upload at the moment in which another process finishes it.
type Locker interface {
	// Lock waits until it holds the lock of id and returns the function that
	// releases it, which may be called more than once.
	//
	// While others wait for the lock, the holder's onContended is called, from a
	// goroutine of the locker and perhaps more than once. The holder should then
	// stop and unlock. If ctx is done first, Lock returns ErrLocked.
	Lock(ctx context.Context, id string, onContended func()) (unlock func(), err error)
}
