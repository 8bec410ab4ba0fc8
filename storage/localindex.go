package storage

import (
	"context"
	"sync"
	"time"
)

// localIndexSize is how many uploads a LocalIndex knows at most. One that is
// forgotten is loaded from the store when it is next asked for.
const localIndexSize = 100_000

// refusePut is for how long a LocalIndex takes no Put of a dropped upload: longer
// than a request that loaded it before can take to say so.
const refusePut = time.Minute

// LocalIndex is an Index for one process. The zero value is ready to use.
type LocalIndex struct {
	mu      sync.Mutex
	uploads map[string]Upload
	dropped map[string]time.Time
	swept   time.Time // when dropped was last cleared of what is old
}

var _ Index = (*LocalIndex)(nil)

// Get implements Index.
func (x *LocalIndex) Get(_ context.Context, id string) (Upload, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	up, ok := x.uploads[id]
	if !ok {
		return Upload{}, ErrNotFound
	}
	return up.Clone(), nil
}

// Put implements Index.
func (x *LocalIndex) Put(_ context.Context, up Upload) (Upload, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if at, ok := x.dropped[up.ID]; ok && time.Since(at) < refusePut {
		return Upload{}, ErrGone
	}
	up = up.Clone()
	if known, ok := x.uploads[up.ID]; ok {
		up.merge(known)
	}
	x.keep(up)
	return up.Clone(), nil
}

// Add implements Index.
func (x *LocalIndex) Add(_ context.Context, id string, p Piece) (Upload, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	up, ok := x.uploads[id]
	if !ok {
		return Upload{}, ErrNotFound
	}
	up.Add(p)
	up.Touched = time.Now()
	x.uploads[id] = up
	return up.Clone(), nil
}

// Drop implements Index.
func (x *LocalIndex) Drop(_ context.Context, id string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.uploads, id)
	if x.dropped == nil {
		x.dropped = map[string]time.Time{}
	}
	x.dropped[id] = time.Now()
	if time.Since(x.swept) > refusePut {
		x.swept = time.Now()
		for id, at := range x.dropped {
			if time.Since(at) >= refusePut {
				delete(x.dropped, id)
			}
		}
	}
	return nil
}

func (x *LocalIndex) keep(up Upload) {
	if x.uploads == nil {
		x.uploads = map[string]Upload{}
	}
	for id := range x.uploads {
		if len(x.uploads) < localIndexSize {
			break
		}
		delete(x.uploads, id) // whichever comes first: it costs a Load, no more
	}
	x.uploads[up.ID] = up
}
