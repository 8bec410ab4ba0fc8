package disk

import (
	"context"

	"github.com/holdfast-upload/holdfast/storage"
)

var _ storage.Flusher = (*Store)(nil)

// Flush implements storage.Flusher.
func (s *Store) Flush(_ context.Context, id string) error {
	s.mu.Lock()
	u, ok := s.open[id]
	if ok {
		u.users++
	}
	s.mu.Unlock()
	if !ok {
		return nil
	}
	defer s.release(u)
	return u.commit()
}
