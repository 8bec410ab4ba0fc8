package storage

import (
	"context"
	"sync"
)

// LocalLocker is a Locker for the requests of one process. The zero value is
// ready to use.
type MemoryLocker struct {
	mu    sync.Mutex
	locks map[string]*localLock
}

type localLock struct {
	held        chan struct{} // holds a token while the lock is held
	users       int           // the holder and the waiters
	onContended func()        // of the holder, nil while there is none
}

var _ Locker = (*MemoryLocker)(nil)

// Lock implements Locker.
func (l *MemoryLocker) Lock(ctx context.Context, id string, onContended func()) (func(), error) {
	lock := l.enter(id)
	select {
	case lock.held <- struct{}{}:
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		l.leave(id, lock)
		return nil, ErrLocked
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	lock.onContended = onContended
	if lock.users > 1 {
		go onContended() // others waited beside this caller, and still do
	}
	return sync.OnceFunc(func() { l.unlock(id, lock) }), nil
}

// unlock releases the lock and no longer counts its holder, in one step: the next holder
// must not take the one before it for a waiter.
func (l *MemoryLocker) unlock(id string, lock *localLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lock.onContended = nil
	l.leave(id, lock)
	<-lock.held // never blocks: the holder's token is in it
}

// enter finds the lock of id, and asks its holder to let go.
func (l *MemoryLocker) enter(id string) *localLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locks == nil {
		l.locks = map[string]*localLock{}
	}
	lock, ok := l.locks[id]
	if !ok {
		lock = &localLock{held: make(chan struct{}, 1)}
		l.locks[id] = lock
	}
	lock.users++
	if lock.onContended != nil {
		go lock.onContended()
	}
	return lock
}

// leave no longer counts a holder or waiter. The caller holds mu.
func (l *MemoryLocker) leave(id string, lock *localLock) {
	if lock.users--; lock.users == 0 {
		delete(l.locks, id)
	}
}
