package storage

import "context"

// Locker gives out one lock per upload, so that a client's new request stops the
// dead one before it. It only saves work: two holders at once lose nothing.
type Locker interface {
	// Lock waits until it holds the lock of id and returns the function that
	// releases it, which may be called more than once.
	//
	// While others wait, a holder is asked to let go: letGo is called, from a
	// goroutine of the locker's and perhaps more than once. The holder should then
	// end what it does and unlock. If ctx is done first, Lock returns ErrLocked.
	Lock(ctx context.Context, id string, onContended func()) (unlock func(), err error)
}
