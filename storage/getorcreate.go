package storage

import (
	"context"
	"errors"
	"sync"
	"time"
)

// createTimeout is how long GetOrCreate waits for another node that loads or creates the
// same upload: as long as a slow store may take. The lock of a crashed node expires
// sooner.
const createTimeout = 30 * time.Second

// GetOrCreate returns the upload rec.ID, and creates it from rec if there is none.
//
// Clients may send all chunks of a new upload at once. The first request loads or
// creates the upload; the others, on this node and, while Redis is up, on other nodes,
// wait for that and find the upload in the cache. If the first fails, each proceeds on
// its own.
//
// Errors: those of Get and Create except ErrNotFound and ErrExists.
func (u *Uploads) GetOrCreate(ctx context.Context, rec Record) (Upload, error) {
	if err := CheckID(rec.ID); err != nil {
		return Upload{}, err
	}
	if err := checkMetadata(rec.Metadata); err != nil {
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

// lockCreation makes GetOrCreate on other nodes wait until unlock is called. It only
// saves requests to the store.
func (u *Uploads) lockCreation(ctx context.Context, id string) (unlock func()) {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	unlock, err := u.locker.Lock(ctx, ".create."+id, func() {}) // not a valid upload id
	if err != nil {
		return func() {}
	}
	return unlock
}

// gates admits the first request for an upload, and makes others wait until it leaves.
type gates struct {
	mu     sync.Mutex
	closed map[string]chan struct{} // by upload id: closed when the first has left
}

// enter returns the function with which the first request leaves, or nil for a request
// that has waited for the first. If ctx is done before, it returns ErrUnavailable.
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
