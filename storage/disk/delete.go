package disk

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"strings"
	"syscall"

	"github.com/holdfast-upload/holdfast/storage"
)

// Delete implements storage.Store. The mark that the upload is gone comes first,
// so that half a deletion is as good as a whole one, and can be completed.
func (s *Store) Delete(_ context.Context, id string) error {
	guard := s.lockID(id)
	guard.Lock()
	defer guard.Unlock()
	there, err := s.anythingOf(id)
	if err != nil || !there {
		return mapError("delete", id, err)
	}
	owed, err := s.markGone(id)
	if err != nil {
		return mapError("delete", id, err)
	}
	s.mu.Lock()
	if u, ok := s.open[id]; ok {
		u.fail(storage.ErrGone)
	}
	s.mu.Unlock()
	return mapError("delete", id, s.removeUpload(id, owed))
}

// removeUpload removes all of an upload but the mark that it is gone: its file first,
// of which only the journal knows the name, and the data file last: see removeFile. The
// journal of one that is owed stays, and claims no file any more.
func (s *Store) removeUpload(id string, owed bool) error {
	up, _, err := s.readJournal(id)
	if err == nil && up.Complete() {
		err = s.removeFile(up)
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	known := err == nil
	if owed {
		if err := s.writeMoved(id); err != nil {
			return err
		}
		s.releaseKey(up.Record)
		return s.removeAll(s.dataPath(id))
	}
	err = s.removeAll(s.livePath(id), s.donePath(id), s.parkedPath(id), s.dataPath(id))
	s.journals.drop(id)
	if known {
		s.releaseKey(up.Record)
		err = errors.Join(err, s.leaveName(up.Record))
	}
	return err
}

// removeFile takes the name of its file away from a complete upload, if it has it. What
// is left is the data file: with that, the journal claims no file that gets the name
// before the deletion is over.
func (s *Store) removeFile(up storage.Upload) error {
	file, twice, err := s.ownFile(up)
	if file == nil {
		return err
	}
	path := s.filePath(up.Record)
	err = s.fs.Rename(path, s.dataPath(up.ID))
	if twice || errors.Is(err, syscall.EXDEV) {
		err = s.fs.Remove(path) // one name of two, or of a file that somebody moved elsewhere
	}
	if err != nil {
		return err
	}
	kept := s.dir
	for dir := range s.above(path) {
		if s.fs.Remove(dir) != nil {
			kept = dir
			break
		}
		// It was made for this file, and nothing else was in it.
	}
	if err := s.syncDir(kept); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // another deletion emptied that too, and removed it
}

func (s *Store) anythingOf(id string) (bool, error) {
	// A file that no journal speaks of is not ours to delete.
	for _, path := range []string{s.dataPath(id), s.livePath(id), s.donePath(id), s.gonePath(id)} {
		if there, err := s.exists(path); err != nil || there {
			return there, err
		}
	}
	return false, s.notThere(nil)
}

// List implements storage.Store: it names the uploads that have a live journal.
func (s *Store) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for name, err := range s.fs.Names(s.own("live")) {
			if err == nil {
				err = ctx.Err()
			}
			id, isLog := strings.CutSuffix(name, ".log")
			if err != nil {
				yield("", storage.Unavailable("list", s.dir, err))
				return
			}
			if isLog && !yield(id, nil) {
				return
			}
		}
	}
}
