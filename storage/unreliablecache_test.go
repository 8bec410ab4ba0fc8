package storage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// unreliableCache evicts everything, or fails, at random.
type unreliableCache struct {
	mu    sync.Mutex
	rnd   *rand.Rand
	inner *storage.MemoryCache

	forgets float64 // probability that everything is evicted before a call
	fails   float64 // probability that a call fails, before or after taking effect
}

var errCache = errors.New("the cache is unavailable")

func newUnreliableCache(seed uint64, forgets, fails float64) *unreliableCache {
	return &unreliableCache{rnd: rand.New(rand.NewPCG(seed, 0)), inner: new(storage.MemoryCache), forgets: forgets, fails: fails}
}

// heal makes it a reliable, empty cache.
func (x *unreliableCache) heal() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.inner, x.forgets, x.fails = new(storage.MemoryCache), 0, 0
}

// call makes one call of the current inner cache.
func (x *unreliableCache) call(run func(*storage.MemoryCache) (storage.Upload, error)) (storage.Upload, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.rnd.Float64() < x.forgets {
		x.inner = new(storage.MemoryCache)
	}
	if x.rnd.Float64() >= x.fails {
		return run(x.inner)
	}
	if x.rnd.IntN(2) == 0 {
		_, _ = run(x.inner)
	}
	return storage.Upload{}, errCache
}

func (x *unreliableCache) Get(ctx context.Context, id string) (storage.Upload, error) {
	return x.call(func(i *storage.MemoryCache) (storage.Upload, error) { return i.Get(ctx, id) })
}

func (x *unreliableCache) Generation(ctx context.Context, id string) (generation string, err error) {
	_, err = x.call(func(i *storage.MemoryCache) (storage.Upload, error) {
		generation, err = i.Generation(ctx, id)
		generation = fmt.Sprintf("%p %s", i, generation)
		return storage.Upload{}, err
	})
	return generation, err
}

func (x *unreliableCache) Store(ctx context.Context, generation string, up storage.Upload) (storage.Upload, error) {
	return x.call(func(i *storage.MemoryCache) (storage.Upload, error) {
		of, generation, _ := strings.Cut(generation, " ")
		if of != fmt.Sprintf("%p", i) {
			return storage.Upload{}, errCache // entries were evicted since
		}
		return i.Store(ctx, generation, up)
	})
}

func (x *unreliableCache) Append(ctx context.Context, id string, p storage.Extent) (storage.Upload, error) {
	return x.call(func(i *storage.MemoryCache) (storage.Upload, error) { return i.Append(ctx, id, p) })
}

func (x *unreliableCache) Invalidate(ctx context.Context, id string) error {
	_, err := x.call(func(i *storage.MemoryCache) (storage.Upload, error) { return storage.Upload{}, i.Invalidate(ctx, id) })
	return err
}

// staleCache is a cache that, once stale is set, fails all changes.
type staleCache struct {
	storage.MemoryCache
	stale bool
}

func (x *staleCache) Store(ctx context.Context, generation string, up storage.Upload) (storage.Upload, error) {
	if x.stale {
		return storage.Upload{}, errCache
	}
	return x.MemoryCache.Store(ctx, generation, up)
}

func (x *staleCache) Append(ctx context.Context, id string, p storage.Extent) (storage.Upload, error) {
	if x.stale {
		return storage.Upload{}, errCache
	}
	return x.MemoryCache.Append(ctx, id, p)
}

func (x *staleCache) Invalidate(ctx context.Context, id string) error {
	if x.stale {
		return errCache
	}
	return x.MemoryCache.Invalidate(ctx, id)
}

// runOver runs every script with unreliable caches and a store that fails at times.
func runOver(t *testing.T, forgets, fails float64) {
	data := storagetest.Content(1, fileSize)
	for _, s := range scripts {
		for seed := range uint64(40) {
			t.Run(fmt.Sprintf("%s, seed %d", s.name, seed), func(t *testing.T) {
				cache := newUnreliableCache(seed, forgets, fails)
				w := newWorldWith(t, storage.Options{}, func() storage.Cache { return cache })
				// A cache that failed to append an extent is behind the store until the next
				// successful call.
				w.mayGoBack = fails > 0 && fails < 1
				w.injectAtRandom(rand.New(rand.NewPCG(seed, 1)), float64(seed%3)*0.02)
				s.run(w, data)
				cache.heal()
				w.wantEnd(s, data)
				w.wantEventsOnce("it")
			})
		}
	}
}

// injectAtRandom makes operations of the store fail with the given probability.
func (w *world) injectAtRandom(rnd *rand.Rand, fails float64) {
	w.memory.Inject(func(op storagetest.Op) storagetest.Outcome {
		switch {
		case rnd.Float64() >= fails:
			return storagetest.Works
		case op.Writes() && rnd.IntN(2) == 0:
			return storagetest.FailsButPersists
		}
		return storagetest.Fails
	})
}

func TestACacheThatAlwaysFailsOnlyCostsTime(t *testing.T) { runOver(t, 0, 1) }

func TestACacheMayForgetEverythingAtAnyTime(t *testing.T) { runOver(t, 0.3, 0) }

func TestACacheMayFailAtAnyTime(t *testing.T) { runOver(t, 0, 0.3) }

func TestACacheMayForgetAndFailAtAnyTime(t *testing.T) { runOver(t, 0.2, 0.2) }
