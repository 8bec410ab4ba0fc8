package instrument

import (
	"context"
	"errors"

	"github.com/holdfast-upload/holdfast/storage"
)

// index is a storage.Index that shows how often it saves asking the store.
type cache struct {
	storage.Cache
	m *Metrics
}

// Index returns inner, measured.
func (m *Metrics) Cache(inner storage.Cache) storage.Cache { return &cache{inner, m} }

// Get implements storage.Index.
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
