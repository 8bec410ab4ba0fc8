package instrument

import (
	"context"
	"errors"

	"github.com/holdfast-upload/holdfast/storage"
)

// cache is a storage.Cache that counts hits, misses and failures.
type cache struct {
	storage.Cache
	m *Metrics
}

// Cache returns inner with metrics.
func (m *Metrics) Cache(inner storage.Cache) storage.Cache { return &cache{inner, m} }

// Get implements storage.Cache.
func (x *cache) Get(ctx context.Context, id string) (storage.Upload, error) {
	up, err := x.Cache.Get(ctx, id)
	result := "hit"
	switch {
	case errors.Is(err, storage.ErrNotFound):
		result = "miss"
	case err != nil:
		result = "error"
	}
	x.m.lookups.WithLabelValues(result).Inc()
	return up, x.count("get", err)
}

// Generation implements storage.Cache.
func (x *cache) Generation(ctx context.Context, id string) (string, error) {
	generation, err := x.Cache.Generation(ctx, id)
	return generation, x.count("generation", err)
}

// Store implements storage.Cache.
func (x *cache) Store(ctx context.Context, generation string, up storage.Upload) (storage.Upload, error) {
	up, err := x.Cache.Store(ctx, generation, up)
	return up, x.count("store", err)
}

// Append implements storage.Cache.
func (x *cache) Append(ctx context.Context, id string, p storage.Extent) (storage.Upload, error) {
	up, err := x.Cache.Append(ctx, id, p)
	return up, x.count("append", err)
}

// Invalidate implements storage.Cache.
func (x *cache) Invalidate(ctx context.Context, id string) error {
	return x.count("invalidate", x.Cache.Invalidate(ctx, id))
}

// count counts err as the error of an operation, unless the upload is not cached, and returns it.
func (x *cache) count(operation string, err error) error {
	if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrGone) {
		x.m.cacheErrors.WithLabelValues(operation).Inc()
	}
	return err
}
