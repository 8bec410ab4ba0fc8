package tus

import (
	"context"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
)

// locker is the core's locker as tusd's handler wants to see it. tusd locks for
// every request; here those that only look at an upload get a lock that is none,
// so that they never interrupt the one that writes.
type locker struct{ uploads *storage.Uploads }

var _ handler.Locker = (*locker)(nil)

// NewLock implements handler.Locker.
func (l *locker) NewLock(id string) (handler.Lock, error) {
	return &lock{uploads: l.uploads, id: id, unlock: func() {}}, nil
}

type lock struct {
	uploads *storage.Uploads
	id      string
	unlock  func()
}

// Lock implements handler.Lock.
//
// Asked to let go, the holder ends its body here, and not by tusd's callback: that
// does nothing before tusd has begun to read, and nothing if it is called again.
func (l *lock) Lock(ctx context.Context, _ func()) error {
	x := responseFrom(ctx)
	if x.reads() {
		return nil
	}
	unlock, err := l.uploads.Lock(ctx, l.id, func() { x.body.Abort(hooks.ErrSuperseded) })
	if err != nil {
		return x.fromError(err)
	}
	l.unlock = unlock
	return nil
}

// Unlock implements handler.Lock.
func (l *lock) Unlock() error {
	l.unlock()
	return nil
}
