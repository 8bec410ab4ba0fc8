package storage

import (
	"cmp"
	"context"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage/internal/lru"
)

// memoryCacheLimit is the default of MemoryCache.Limit: the state of some 100,000 uploads
// that are sent in order.
const memoryCacheLimit = 64 << 20

// maxEvicted is how many evictions a MemoryCache remembers one by one.
const maxEvicted = 100_000

// generationTTL is how long a generation is valid, and how long a MemoryCache remembers
// evictions and rejects Store for an invalidated upload. It exceeds the time between
// Generation and Store in any reasonable request; a later Store fails.
const generationTTL = time.Minute

// minPruneInterval is the minimum time between two searches of all evictions.
const minPruneInterval = 100 * time.Millisecond

// MemoryCache is a Cache for one process. What was least recently used is evicted; it is
// loaded from the store on its next use. The zero value is ready to use.
type MemoryCache struct {
	// Limit is about how many bytes of memory the state may take; 0 is 64 MiB.
	Limit int64

	mu      sync.Mutex
	uploads *lru.Cache[Upload]
	evicted map[string]evicted
	pruned  time.Time // when old entries of evicted were last removed
	dropped time.Time // evictions up to this time are not in evicted
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
	up, ok := x.all().Get(id)
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
	if x.stale(up.ID, began) {
		return Upload{}, ErrGone
	}
	up = up.Clone()
	if known, ok := x.all().Get(up.ID); ok {
		up.Merge(known)
	}
	x.put(up)
	return up.Clone(), nil
}

// Append implements Cache.
func (x *MemoryCache) Append(_ context.Context, id string, p Extent) (Upload, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	up, ok := x.all().Get(id)
	if !ok {
		x.noteLost(id)
		return Upload{}, ErrNotFound
	}
	up.Add(p)
	up.ModifiedAt = time.Now()
	x.put(up)
	return up.Clone(), nil
}

// Invalidate implements Cache.
func (x *MemoryCache) Invalidate(_ context.Context, id string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.evict(id, true)
	return nil
}

func (x *MemoryCache) all() *lru.Cache[Upload] {
	if x.uploads == nil {
		x.uploads = lru.New[Upload](cmp.Or(x.Limit, memoryCacheLimit))
		x.evicted = map[string]evicted{}
	}
	return x.uploads
}

func (x *MemoryCache) put(up Upload) {
	for _, id := range x.all().Put(up.ID, up, up.MemorySize()) {
		x.noteEvicted(id, false)
	}
}

// noteLost has Store reject state that was loaded before now, as it may lack an extent that was
// not appended.
func (x *MemoryCache) noteLost(id string) {
	e := x.evicted[id]
	x.noteEvicted(id, e.invalidated && time.Since(e.at) < generationTTL)
}

func (x *MemoryCache) evict(id string, invalidated bool) {
	x.all().Delete(id)
	x.noteEvicted(id, invalidated)
}

// stale reports whether state that was loaded after began may lack extents that were
// appended since, or is of an upload that was invalidated.
func (x *MemoryCache) stale(id string, began time.Time) bool {
	e, ok := x.evicted[id]
	return ok && (e.invalidated && time.Since(e.at) < generationTTL || !began.After(e.at)) ||
		!began.After(x.dropped) || time.Since(began) >= generationTTL
}

func (x *MemoryCache) noteEvicted(id string, invalidated bool) {
	now := time.Now()
	if now.Sub(x.pruned) > generationTTL || len(x.evicted) >= 2*maxEvicted && now.Sub(x.pruned) > minPruneInterval {
		x.prune(now)
	}
	x.evicted[id] = evicted{now, invalidated}
}

// prune removes the evictions that do not matter any more. If there are too many others, it
// keeps only those of invalidated uploads: no state that was loaded before is accepted.
func (x *MemoryCache) prune(now time.Time) {
	x.pruned = now
	maps.DeleteFunc(x.evicted, func(_ string, e evicted) bool { return now.Sub(e.at) >= generationTTL })
	if len(x.evicted) >= maxEvicted {
		x.dropped = now
		maps.DeleteFunc(x.evicted, func(_ string, e evicted) bool { return !e.invalidated })
	}
}
