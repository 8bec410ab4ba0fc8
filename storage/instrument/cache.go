package instrument

import (
	"context"
	"errors"

	"github.com/holdfast-upload/holdfast/storage"
)

// cache is a storage.Cache that counts hits and misses.
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
	return up, err
}
