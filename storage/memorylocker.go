package storage

import (
	"context"
	"sync"
)

// MemoryLocker is a Locker for the requests of one process. The zero value is
// ready to use.
type MemoryLocker struct {
	mu    sync.Mutex
	locks map[string]*memoryLock
}

type memoryLock struct {
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
		go onContended() // others were waiting too, and still are
	}
	return sync.OnceFunc(func() { l.unlock(id, lock) }), nil
}

// unlock releases the lock and stops counting its holder in one step: the next holder
// must not mistake the previous one for a waiter.
func (l *MemoryLocker) unlock(id string, lock *memoryLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lock.onContended = nil
	l.leave(id, lock)
	<-lock.held // never blocks: the holder's token is in it
}

// enter returns the lock of id, counting the caller, and calls the holder's onContended.
func (l *MemoryLocker) enter(id string) *memoryLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locks == nil {
		l.locks = map[string]*memoryLock{}
	}
	lock, ok := l.locks[id]
	if !ok {
		lock = &memoryLock{held: make(chan struct{}, 1)}
		l.locks[id] = lock
	}
	lock.users++
	if lock.onContended != nil {
		go lock.onContended()
	}
	return lock
}

// leave stops counting a holder or waiter. The caller holds mu.
func (l *MemoryLocker) leave(id string, lock *memoryLock) {
	if lock.users--; lock.users == 0 {
		delete(l.locks, id)
	}
}
