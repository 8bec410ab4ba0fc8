package disk

import (
	"context"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage"
)

// SetSize implements storage.Store.
func (s *Store) SetSize(ctx context.Context, id string, size int64) error {
	u, err := s.acquire(id)
	if err == errClosed {
		return s.setSizeFinished(ctx, id, size)
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
	return checkSameSize(id, u.record.Size, size)
}

// setSizeFinished is SetSize for an upload without a live journal.
func (s *Store) setSizeFinished(ctx context.Context, id string, size int64) error {
	up, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	return checkSameSize(id, up.Size, size)
}

func checkSameSize(id string, declared, size int64) error {
	if declared != size {
		return fmt.Errorf("set size of %s: %w: %d bytes now, %d before", id, storage.ErrSizeMismatch, size, declared)
	}
	return nil
}
