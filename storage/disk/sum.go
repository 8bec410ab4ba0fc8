package disk

import (
	"context"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

var _ storage.Summer = (*Store)(nil)

// Sum implements storage.Summer. It journals the checksum, so that Finish need not compute
// it again.
func (s *Store) Sum(_ context.Context, up storage.Upload) *crc32c.Sum {
	idLock := s.lockID(up.ID)
	idLock.Lock()
	defer idLock.Unlock()
	now, err := s.load(up.ID)
	switch {
	case err != nil || !now.Complete():
		return nil
	case now.CRC32C == nil && !now.Finished:
		return s.addChecksum(now)
	}
	return now.CRC32C
}
