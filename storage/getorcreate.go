package storage

import (
	"context"
	"errors"
	"sync"
	"time"
)

// createWithin is how long GetOrCreate waits for another node that looks for the same
// upload, or creates it: as long as a slow store may take. The lock of a node that was
// killed lapses sooner.
const createWithin = 30 * time.Second

// GetOrCreate returns the upload of rec.ID, which it creates from rec if there is none.
//
// Clients may send all chunks of a new upload at once. The first request looks in the
// store and creates the upload; the others, on this node and, while Redis answers, on
// others, wait for that and find the upload in the cache. If the first fails, each goes on
// by itself.
//
// Errors: those of Get and Create but ErrNotFound and ErrExists.
func (u *Uploads) GetOrCreate(ctx context.Context, rec Record) (Upload, error) {
	if err := CheckID(rec.ID); err != nil {
		return Upload{}, err
	}
	if up, err := u.cache.Get(ctx, rec.ID); err != nil || u.expired(up) {
		leave, err := u.creating.enter(ctx, rec.ID)
		if err != nil {
			return Upload{}, err
		}
		if leave != nil {
			defer leave()
			defer u.lockCreation(ctx, rec.ID)()
		}
	}
	up, err := u.Get(ctx, rec.ID)
	if !errors.Is(err, ErrNotFound) {
		return up, err
	}
	up, err = u.Create(ctx, rec)
	if errors.Is(err, ErrExists) {
		return u.Get(ctx, rec.ID)
	}
	return up, err
}

// lockCreation keeps other nodes from looking for the upload until the function that it
// returns is called. It only saves requests to the store.
func (u *Uploads) lockCreation(ctx context.Context, id string) (unlock func()) {
	ctx, cancel := context.WithTimeout(ctx, createWithin)
	defer cancel()
	unlock, err := u.locker.Lock(ctx, ".create."+id, func() {}) // that is no upload's id
	if err != nil {
		return func() {}
	}
	return unlock
}

// gates lets the first request for an upload through, and makes others wait until that
// one has left.
type gates struct {
	mu     sync.Mutex
	closed map[string]chan struct{} // by upload id: closed when the first has left
}

// enter returns the function with which the first request leaves, or nil to a request
// that has waited for it. If ctx is done while it waits, enter returns ErrUnavailable.
func (g *gates) enter(ctx context.Context, id string) (leave func(), err error) {
	g.mu.Lock()
	left, closed := g.closed[id]
	if !closed {
		defer g.mu.Unlock()
		if g.closed == nil {
			g.closed = map[string]chan struct{}{}
		}
		left = make(chan struct{})
		g.closed[id] = left
		return func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			delete(g.closed, id)
			close(left)
		}, nil
	}
	g.mu.Unlock()
	select {
	case <-left:
		return nil, nil
	case <-ctx.Done():
		return nil, Unavailable("wait for the creation of", id, ctx.Err())
	}
}
