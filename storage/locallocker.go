package storage

import (
	"context"
	"sync"
)

// LocalLocker is a Locker for the requests of one process. The zero value is
// ready to use.
type LocalLocker struct {
	mu    sync.Mutex
	locks map[string]*localLock
}

type localLock struct {
	held    chan struct{} // holds a token while the lock is held
	waiting int           // holders and waiters
	letGo   func()        // of the holder, nil while there is none
}

var _ Locker = (*LocalLocker)(nil)

// Lock implements Locker.
func (l *LocalLocker) Lock(ctx context.Context, id string, letGo func()) (func(), error) {
	lock := l.enter(id)
	select {
	case lock.held <- struct{}{}:
	case <-ctx.Done():
		l.leave(id, lock)
		return nil, ErrLocked
	}
	l.mu.Lock()
	lock.letGo = letGo
	if lock.waiting > 1 {
		go letGo() // somebody waited beside this caller, and still does
	}
	l.mu.Unlock()
	return sync.OnceFunc(func() {
		l.mu.Lock()
		lock.letGo = nil
		l.mu.Unlock()
		<-lock.held
		l.leave(id, lock)
	}), nil
}

// enter finds the lock of id, and asks its holder to let go.
func (l *LocalLocker) enter(id string) *localLock {
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
	lock.waiting++
	if lock.letGo != nil {
		go lock.letGo()
	}
	return lock
}

func (l *LocalLocker) leave(id string, lock *localLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lock.waiting--; lock.waiting == 0 {
		delete(l.locks, id)
	}
}
