package storage

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// localIndexSize is how many uploads a LocalIndex knows at most. One that is
// forgotten is loaded from the store when it is next asked for.
const localIndexSize = 100_000

// refusePut is for how long a LocalIndex takes no Put of a dropped upload, and
// remembers what it has forgotten: longer than a request that loaded an upload before
// can take to say so. What took longer is refused.
const refusePut = time.Minute

// LocalIndex is an Index for one process. The zero value is ready to use.
type LocalIndex struct {
	mu      sync.Mutex
	uploads map[string]Upload
	forgot  map[string]forgotten
	swept   time.Time // when forgot was last cleared of what is old
}

// forgotten is what remains of an upload that the index knew.
type forgotten struct {
	at   time.Time
	over bool
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

// epoch is what Begin counts from.
var epoch = time.Now()

// Begin implements Index.
func (x *LocalIndex) Begin(context.Context, string) (string, error) {
	return strconv.FormatInt(int64(time.Since(epoch)), 10), nil
}

// Put implements Index.
func (x *LocalIndex) Put(_ context.Context, begun string, up Upload) (Upload, error) {
	since, err := strconv.ParseInt(begun, 10, 64)
	if err != nil {
		return Upload{}, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	began := epoch.Add(time.Duration(since))
	f, lost := x.forgot[up.ID]
	if lost && (f.over && time.Since(f.at) < refusePut || !began.After(f.at)) || time.Since(began) >= refusePut {
		return Upload{}, ErrGone
	}
	up = up.Clone()
	if known, ok := x.uploads[up.ID]; ok {
		up.merge(known)
	}
	x.makeRoom()
	x.uploads[up.ID] = up
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
	x.forget(id, true)
	return nil
}

// makeRoom forgets uploads, whichever come first: it costs a Load, no more.
func (x *LocalIndex) makeRoom() {
	if x.uploads == nil {
		x.uploads = map[string]Upload{}
	}
	for id := range x.uploads {
		if len(x.uploads) < localIndexSize {
			return
		}
		x.forget(id, false)
	}
}

func (x *LocalIndex) forget(id string, over bool) {
	delete(x.uploads, id)
	if x.forgot == nil {
		x.forgot = map[string]forgotten{}
	}
	now := time.Now()
	x.forgot[id] = forgotten{now, over || x.forgot[id].over}
	if now.Sub(x.swept) > refusePut {
		x.swept = now
		for id, f := range x.forgot {
			if now.Sub(f.at) >= refusePut {
				delete(x.forgot, id)
			}
		}
	}
}
