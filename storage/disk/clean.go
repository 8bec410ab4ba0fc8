package disk

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// purgeBatch is the number of tombstones removed per sync of the directories.
const purgeBatch = 1000

// Clean implements storage.Cleaner.
func (s *Store) Clean(_ context.Context, before time.Time) error {
	var errs []error
	var old []string
	for name, err := range s.fs.Names(s.own("gone")) {
		if err == nil && s.olderThan(s.own("gone", name), before) {
			if old = append(old, name); len(old) == purgeBatch {
				err, old = s.purge(old), nil
			}
		}
		errs = append(errs, err)
	}
	errs = append(errs, s.purge(old))
	for name, err := range s.fs.Names(s.own("live")) {
		if err == nil {
			err = s.removeOrphan(name, before)
		}
		errs = append(errs, err)
	}
	for name, err := range s.fs.Names(s.own()) {
		if err == nil && strings.HasPrefix(name, "probe") && s.olderThan(s.own(name), before) {
			err = s.removeAll(s.own(name))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// purge removes the tombstones of deleted uploads. What their deletions left is removed
// first, and durably: it must not reappear once a tombstone is gone.
func (s *Store) purge(ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	var errs []error
	var clean []string
	for _, id := range ids {
		removed, err := s.removeLeftovers(id)
		if removed {
			clean = append(clean, id)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(s.syncDir(s.own("live")), s.syncDir(s.own("done"))); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, id := range clean {
		errs = append(errs, s.removeTombstone(id))
	}
	return errors.Join(errs...)
}

// removeLeftovers completes an interrupted deletion, unless a delivery of the upload is
// pending, and reports whether nothing is left.
func (s *Store) removeLeftovers(id string) (removed bool, err error) {
	idLock := s.lockID(id)
	idLock.Lock()
	defer idLock.Unlock()
	up, err := s.load(id)
	switch {
	case err != nil && !errors.Is(err, storage.ErrGone):
		return false, err
	case up.DeliveryPending && !up.DeadLettered:
		return false, nil
	}
	err = s.removeUpload(id, false)
	return err == nil, err
}

// removeTombstone removes the tombstone of a deleted upload durably: if it reappeared, it
// would delete the next upload with the id.
func (s *Store) removeTombstone(id string) error {
	idLock := s.lockID(id)
	idLock.Lock()
	defer idLock.Unlock()
	return errors.Join(s.removeAll(s.gonePath(id)), s.syncDir(s.own("gone")))
}

// removeOrphan removes a data file or dead-letter mark without a journal, left by an
// interrupted Create or MarkDelivered, or the unused replacement of a journal.
func (s *Store) removeOrphan(name string, before time.Time) error {
	id, suffix := ownerOf(name)
	if suffix == "" {
		return nil
	}
	idLock := s.lockID(id)
	idLock.Lock()
	defer idLock.Unlock()
	path := s.own("live", name)
	owned, err := s.exists(s.livePath(id))
	if err != nil || !s.olderThan(path, before) || owned && suffix != ".log.new" {
		return err
	}
	return s.removeAll(path)
}

// ownerOf splits the name of a file that may be an orphan into the upload id, which may
// itself end in such a suffix, and the suffix. For any other file the suffix is "".
func ownerOf(name string) (id, suffix string) {
	for _, suffix := range []string{".data", ".deadletter", ".log.new"} {
		if id, ok := strings.CutSuffix(name, suffix); ok {
			return id, suffix
		}
	}
	return "", ""
}

func (s *Store) olderThan(path string, than time.Time) bool {
	info, err := s.fs.Lstat(path)
	return err == nil && info.ModTime().Before(than)
}
