package observed

import (
	"context"
	"errors"

	"github.com/holdfast-upload/holdfast/storage"
)

// index is a storage.Index that shows how often it saves asking the store.
type index struct {
	storage.Index
	m *Metrics
}

// Index returns inner, measured.
func (m *Metrics) Index(inner storage.Index) storage.Index { return &index{inner, m} }

// Get implements storage.Index.
func (x *index) Get(ctx context.Context, id string) (storage.Upload, error) {
	up, err := x.Index.Get(ctx, id)
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
