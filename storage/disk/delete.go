package disk

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"strings"
	"syscall"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// Delete implements storage.Store. The mark that the upload is gone comes first,
// so that half a deletion is as good as a whole one, and can be completed.
func (s *Store) Delete(_ context.Context, id string) error {
	guard := s.guard(id)
	guard.Lock()
	defer guard.Unlock()
	there, err := s.anythingOf(id)
	if err != nil || !there {
		return classify("delete", id, err)
	}
	owed, err := s.markGone(id)
	if err != nil {
		return classify("delete", id, err)
	}
	s.mu.Lock()
	if u, ok := s.open[id]; ok {
		u.fail(storage.ErrGone)
	}
	s.mu.Unlock()
	return classify("delete", id, s.removeUpload(id, owed))
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
		if err := s.writeFile(s.movedPath(id), nil); err != nil {
			return err
		}
		s.unclaim(up.Record)
		return s.removeAll(s.dataPath(id))
	}
	err = s.removeAll(s.livePath(id), s.donePath(id), s.parkedPath(id), s.dataPath(id))
	if known {
		s.unclaim(up.Record)
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
	return false, nil
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

// Clean implements storage.Cleaner.
func (s *Store) Clean(_ context.Context, before time.Time) error {
	var errs []error
	for name, err := range s.fs.Names(s.own("gone")) {
		if err == nil && s.older(s.gonePath(name), before) {
			err = s.forget(name)
		}
		errs = append(errs, err)
	}
	for name, err := range s.fs.Names(s.own("live")) {
		if err == nil {
			err = s.removeOrphan(name, before)
		}
		errs = append(errs, err)
	}
	for name, err := range s.fs.Names(s.own()) {
		if err == nil && strings.HasPrefix(name, "probe") && s.older(s.own(name), before) {
			err = s.removeAll(s.own(name))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// forget removes the mark of a deleted upload, after whatever the deletion left.
func (s *Store) forget(id string) error {
	guard := s.guard(id)
	guard.Lock()
	defer guard.Unlock()
	if up, err := s.load(id); up.Owed && !up.Parked {
		return nil // the event of its finish is still to be delivered
	} else if err != nil && !errors.Is(err, storage.ErrGone) {
		return err
	}
	if err := s.removeUpload(id, false); err != nil {
		return err
	}
	return s.removeAll(s.gonePath(id))
}

// removeOrphan removes a data file or a mark without a journal, left by a creation or
// a retirement that broke off, or a journal that was to replace another.
func (s *Store) removeOrphan(name string, before time.Time) error {
	id, suffix := ownerOf(name)
	if suffix == "" {
		return nil
	}
	guard := s.guard(id)
	guard.Lock()
	defer guard.Unlock()
	path := s.own("live", name)
	owned, err := s.exists(s.livePath(id))
	if err != nil || !s.older(path, before) || owned && suffix != ".log.new" {
		return err
	}
	return s.removeAll(path)
}

// ownerOf splits the name of a file that may be an orphan into the id of the upload that
// it is for, which may end like a file's name itself, and the suffix that tells what it
// is. That is "" for any other file.
func ownerOf(name string) (id, suffix string) {
	for _, suffix := range []string{".data", ".parked", ".log.new"} {
		if id, ok := strings.CutSuffix(name, suffix); ok {
			return id, suffix
		}
	}
	return "", ""
}

func (s *Store) older(path string, than time.Time) bool {
	info, err := s.fs.Lstat(path)
	return err == nil && info.ModTime().Before(than)
}
