package instrument

import (
	"cmp"
	"context"
	"io"

	"github.com/holdfast-upload/holdfast/storage"
)

// store is a storage.Store that measures and traces every call but List, which lasts as long
// as its caller iterates.
type store struct {
	storage.Store
	m *Metrics
}

// Store returns inner with metrics and traces, and with its optional interfaces.
func (m *Metrics) Store(inner storage.Store) storage.Store { return &store{inner, m} }

// Create implements storage.Store.
func (s *store) Create(ctx context.Context, rec storage.Record) error {
	ctx, end := s.m.store.begin(ctx, "create", rec.ID)
	err := s.Store.Create(ctx, rec)
	end(err)
	return err
}

// Load implements storage.Store.
func (s *store) Load(ctx context.Context, id string) (storage.Upload, error) {
	ctx, end := s.m.store.begin(ctx, "load", id)
	up, err := s.Store.Load(ctx, id)
	end(err)
	return up, err
}

// SetSize implements storage.Store.
func (s *store) SetSize(ctx context.Context, id string, size int64) error {
	ctx, end := s.m.store.begin(ctx, "declare", id)
	err := s.Store.SetSize(ctx, id, size)
	end(err)
	return err
}

// Write implements storage.Store.
func (s *store) Write(ctx context.Context, up storage.Upload, c storage.Chunk, stored func(storage.Extent) storage.Upload) error {
	ctx, end := s.m.store.begin(ctx, "write", up.ID)
	err := s.Store.Write(ctx, up, c, func(p storage.Extent) storage.Upload {
		s.count(p)
		return stored(p)
	})
	end(err)
	return err
}

func (s *store) count(p storage.Extent) {
	if p.Empty() {
		return
	}
	kind := cmp.Or(string(p.Kind), "range")
	s.m.extents.WithLabelValues(kind).Inc()
	s.m.stored.WithLabelValues(kind).Add(float64(p.Len()))
}

// Finish implements storage.Store.
func (s *store) Finish(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	ctx, end := s.m.store.begin(ctx, "finish", up.ID)
	done, err := s.Store.Finish(ctx, up)
	end(err)
	return done, err
}

// MarkDelivered implements storage.Store.
func (s *store) MarkDelivered(ctx context.Context, up storage.Upload) error {
	ctx, end := s.m.store.begin(ctx, "retire", up.ID)
	err := s.Store.MarkDelivered(ctx, up)
	end(err)
	return err
}

// DeadLetter implements storage.Store.
func (s *store) DeadLetter(ctx context.Context, up storage.Upload) error {
	ctx, end := s.m.store.begin(ctx, "dead-letter", up.ID)
	err := s.Store.DeadLetter(ctx, up)
	end(err)
	return err
}

// Open implements storage.Store. It measures the time until the file can be read.
func (s *store) Open(ctx context.Context, up storage.Upload, offset int64) (io.ReadCloser, error) {
	ctx, end := s.m.store.begin(ctx, "open", up.ID)
	file, err := s.Store.Open(ctx, up, offset)
	end(err)
	return file, err
}

// Delete implements storage.Store.
func (s *store) Delete(ctx context.Context, id string) error {
	ctx, end := s.m.store.begin(ctx, "delete", id)
	err := s.Store.Delete(ctx, id)
	end(err)
	return err
}
