package tus

import (
	"context"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
)

// locker adapts the core's locker to tusd. tusd locks for every request; here HEAD and GET
// get a no-op lock, so that they never interrupt a writer.
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
// On contention the holder's body is aborted here and not by tusd's callback, which does
// nothing before tusd has begun to read, and nothing on a second call.
func (l *lock) Lock(ctx context.Context, _ func()) error {
	x := responseFrom(ctx)
	if x.reads() {
		return nil
	}
	unlock, err := l.uploads.Lock(ctx, l.id, func() { x.body.Abort(problem.ErrSuperseded) })
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
