package storage

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// localIndexSize is how many uploads a LocalIndex knows at most. One that is
// forgotten is loaded from the store when it is next asked for.
const memoryCacheSize = 100_000

// refusePut is for how long a LocalIndex takes no Put of a dropped upload, and
// remembers what it has forgotten: longer than a request that loaded an upload before
// can take to say so. What took longer is refused.
const generationTTL = time.Minute

// LocalIndex is an Index for one process. The zero value is ready to use.
type MemoryCache struct {
	mu      sync.Mutex
	uploads map[string]Upload
	evicted map[string]evicted
	swept   time.Time // when forgot was last cleared of what is old
}

// forgotten is what remains of an upload that the index knew.
type evicted struct {
	at    time.Time
	final bool
}

var _ Cache = (*MemoryCache)(nil)

// Get implements Index.
func (x *MemoryCache) Get(_ context.Context, id string) (Upload, error) {
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
func (x *MemoryCache) Generation(context.Context, string) (string, error) {
	return strconv.FormatInt(int64(time.Since(epoch)), 10), nil
}

// Put implements Index.
func (x *MemoryCache) Store(_ context.Context, generation string, up Upload) (Upload, error) {
	since, err := strconv.ParseInt(generation, 10, 64)
	if err != nil {
		return Upload{}, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	began := epoch.Add(time.Duration(since))
	f, lost := x.evicted[up.ID]
	if lost && (f.final && time.Since(f.at) < generationTTL || !began.After(f.at)) || time.Since(began) >= generationTTL {
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
func (x *MemoryCache) Append(_ context.Context, id string, p Extent) (Upload, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	up, ok := x.uploads[id]
	if !ok {
		return Upload{}, ErrNotFound
	}
	up.Add(p)
	up.ModifiedAt = time.Now()
	x.uploads[id] = up
	return up.Clone(), nil
}

// Drop implements Index.
func (x *MemoryCache) Invalidate(_ context.Context, id string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.evict(id, true)
	return nil
}

// makeRoom forgets uploads, whichever come first: it costs a Load, no more.
func (x *MemoryCache) makeRoom() {
	if x.uploads == nil {
		x.uploads = map[string]Upload{}
	}
	for id := range x.uploads {
		if len(x.uploads) < memoryCacheSize {
			return
		}
		x.evict(id, false)
	}
}

func (x *MemoryCache) evict(id string, over bool) {
	delete(x.uploads, id)
	if x.evicted == nil {
		x.evicted = map[string]evicted{}
	}
	now := time.Now()
	x.evicted[id] = evicted{now, over || x.evicted[id].final}
	if now.Sub(x.swept) > generationTTL {
		x.swept = now
		for id, f := range x.evicted {
			if now.Sub(f.at) >= generationTTL {
				delete(x.evicted, id)
			}
		}
	}
}
