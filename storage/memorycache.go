package storage

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// memoryCacheSize is the maximum number of entries of a MemoryCache. An evicted upload
// is loaded from the store on its next use.
const memoryCacheSize = 100_000

// generationTTL is how long a generation is valid, and how long a MemoryCache remembers
// evictions and rejects Store for an invalidated upload. It exceeds the time between
// Generation and Store in any reasonable request; a later Store fails.
const generationTTL = time.Minute

// MemoryCache is a Cache for one process. The zero value is ready to use.
type MemoryCache struct {
	mu      sync.Mutex
	uploads map[string]Upload
	evicted map[string]evicted
	pruned  time.Time // when old entries of evicted were last removed
}

// evicted records the eviction of an entry.
type evicted struct {
	at          time.Time
	invalidated bool
}

var _ Cache = (*MemoryCache)(nil)

// Get implements Cache.
func (x *MemoryCache) Get(_ context.Context, id string) (Upload, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	up, ok := x.uploads[id]
	if !ok {
		return Upload{}, ErrNotFound
	}
	return up.Clone(), nil
}

// epoch is the time that generations are relative to.
var epoch = time.Now()

// Generation implements Cache.
func (x *MemoryCache) Generation(context.Context, string) (string, error) {
	return strconv.FormatInt(int64(time.Since(epoch)), 10), nil
}

// Store implements Cache.
func (x *MemoryCache) Store(_ context.Context, generation string, up Upload) (Upload, error) {
	since, err := strconv.ParseInt(generation, 10, 64)
	if err != nil {
		return Upload{}, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	began := epoch.Add(time.Duration(since))
	e, ok := x.evicted[up.ID]
	if ok && (e.invalidated && time.Since(e.at) < generationTTL || !began.After(e.at)) || time.Since(began) >= generationTTL {
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

// Append implements Cache.
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

// Invalidate implements Cache.
func (x *MemoryCache) Invalidate(_ context.Context, id string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.evict(id, true)
	return nil
}

// makeRoom evicts arbitrary entries: a wrong choice only costs a Load.
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

func (x *MemoryCache) evict(id string, invalidated bool) {
	delete(x.uploads, id)
	if x.evicted == nil {
		x.evicted = map[string]evicted{}
	}
	now := time.Now()
	x.evicted[id] = evicted{now, invalidated || x.evicted[id].invalidated}
	if now.Sub(x.pruned) > generationTTL {
		x.pruned = now
		for id, e := range x.evicted {
			if now.Sub(e.at) >= generationTTL {
				delete(x.evicted, id)
			}
		}
	}
}
