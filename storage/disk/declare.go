package disk

import (
	"context"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage"
)

// Declare implements storage.Store.
func (s *Store) SetSize(ctx context.Context, id string, size int64) error {
	u, err := s.acquire(id)
	if err == errClosed {
		return s.declareFinished(ctx, id, size)
	}
	if err != nil {
		return err
	}
	defer s.release(u)
	u.commitMu.Lock()
	defer u.commitMu.Unlock()
	if err := u.failure(); err != nil {
		return err
	}
	if u.record.Size == storage.Unknown {
		if err := u.append(sizeLine(size)); err != nil {
			return err
		}
		u.mu.Lock()
		u.record.Size, u.late = size, true
		u.mu.Unlock()
	}
	return sameSize(id, u.record.Size, size)
}

// declareFinished answers for an upload that has no live journal.
func (s *Store) declareFinished(ctx context.Context, id string, size int64) error {
	up, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	return sameSize(id, up.Size, size)
}

func sameSize(id string, declared, size int64) error {
	if declared != size {
		return fmt.Errorf("declare %s: %w: %d bytes now, %d before", id, storage.ErrSizeMismatch, size, declared)
	}
	return nil
}
