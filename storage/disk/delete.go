package disk

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"syscall"

	"github.com/holdfast-upload/holdfast/storage"
)

// Delete implements storage.Store. It writes the tombstone first, so that an interrupted
// deletion counts as done and can be completed.
func (s *Store) Delete(_ context.Context, id string) error {
	idLock := s.lockID(id)
	idLock.Lock()
	defer idLock.Unlock()
	found, err := s.hasFiles(id)
	if err != nil || !found {
		return mapError("delete", id, err)
	}
	pending, err := s.writeTombstone(id)
	if err != nil {
		return mapError("delete", id, err)
	}
	s.mu.Lock()
	if u, ok := s.open[id]; ok {
		u.fail(storage.ErrGone)
	}
	s.mu.Unlock()
	return mapError("delete", id, s.removeUpload(id, pending))
}

// removeUpload removes everything of an upload but the tombstone: the file first, because
// only the journal knows its name, and the data file last (see removeFile). While a delivery
// is pending the journal stays, but does not own a file any more.
func (s *Store) removeUpload(id string, pending bool) error {
	up, _, err := s.readJournal(id)
	if err == nil && up.Complete() {
		err = s.removeFile(up)
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	known := err == nil
	if pending {
		if err := s.writeMoved(id); err != nil {
			return err
		}
		s.releaseKey(up.Record)
		return s.removeAll(s.dataPath(id))
	}
	err = s.removeAll(s.livePath(id), s.donePath(id), s.deadLetterPath(id), s.dataPath(id))
	s.journals.drop(id)
	if known {
		s.releaseKey(up.Record)
		err = errors.Join(err, s.removeName(up.Record))
	}
	return err
}

// removeFile renames the file of a complete upload back to its data file, if it has one.
// While the data file exists, the journal does not own a file that takes the name before the
// deletion is over.
func (s *Store) removeFile(up storage.Upload) error {
	file, beside, err := s.ownFile(up)
	if hasCustomKey(up.Record) && (file == nil || beside == original) {
		err = errors.Join(err, s.removeAll(s.copyPath(up.Record)))
	}
	if file == nil || err != nil {
		return err
	}
	path := s.filePath(up.Record)
	if beside == removed {
		err = s.fs.Rename(path, s.dataPath(up.ID))
	}
	if beside != removed || errors.Is(err, syscall.EXDEV) {
		err = s.fs.Remove(path) // one of two, or on another file system
	}
	if err != nil {
		return err
	}
	kept := s.dir // the lowest directory that stays; empty ones below it were made for this file
	for dir := range s.above(path) {
		if s.fs.Remove(dir) != nil {
			kept = dir
			break
		}
	}
	if err := s.syncDir(kept); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // a concurrent deletion removed the directory
}

// hasFiles reports whether the store has files for the id. A final file without a journal
// does not count: it is not the store's to delete.
func (s *Store) hasFiles(id string) (bool, error) {
	for _, path := range []string{s.dataPath(id), s.livePath(id), s.donePath(id), s.gonePath(id)} {
		if found, err := s.exists(path); err != nil || found {
			return found, err
		}
	}
	return false, s.confirmAbsent(nil)
}

// List implements storage.Store. It yields the ids that have a live journal.
func (s *Store) List(ctx context.Context) iter.Seq2[string, error] { return s.journalIDs(ctx, "live") }
