package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/holdfast-upload/holdfast/storage"
)

// Load implements storage.Store.
func (s *Store) Load(_ context.Context, id string) (storage.Upload, error) {
	guard := s.guard(id)
	guard.RLock()
	defer guard.RUnlock()
	return s.load(id)
}

func (s *Store) load(id string) (storage.Upload, error) {
	if err := s.syncAgain(s.own("live"), s.own("done"), s.own("gone")); err != nil {
		return storage.Upload{}, classify("load", id, err)
	}
	gone, err := s.exists(s.gonePath(id))
	if err != nil {
		return storage.Upload{}, classify("load", id, err)
	}
	if gone {
		return storage.Upload{}, storage.ErrGone
	}
	up, live, err := s.readJournal(id)
	if err != nil {
		return storage.Upload{}, err
	}
	if !up.Complete() {
		return up, nil
	}
	up.Finished, err = s.isFinished(up)
	up.Owed = up.Finished && live
	if err == nil && up.Owed {
		up.Parked, err = s.exists(s.parkedPath(id))
	}
	if err != nil || up.Finished {
		return up, classify("load", id, err)
	}
	if there, err := s.exists(s.dataPath(id)); err != nil || !there {
		// Somebody took the file away; it can't be said to be complete any more.
		return storage.Upload{}, errors.Join(classify("load", id, err), s.notThere(fmt.Errorf("%w: its file is missing", storage.ErrGone)))
	}
	return up, nil
}

// isFinished tells whether the file of a complete upload is there, whole. It ends what
// a crash has left of the finish.
func (s *Store) isFinished(up storage.Upload) (bool, error) {
	file, twice, err := s.ownFile(up)
	if file == nil || file.Size() != up.Size {
		return false, err
	}
	if twice {
		err = s.removeData(up)
	} else {
		err = s.syncAgain(filepath.Dir(s.filePath(up.Record)))
	}
	return err == nil, err
}

// ownFile finds the file of a complete upload, nil if there is none. What has its name
// is its own once the data file was given that, and has lost the name it had before. If
// a crash came between, it has both, and so is there twice.
func (s *Store) ownFile(up storage.Upload) (file fs.FileInfo, twice bool, err error) {
	file, err = s.fs.Stat(s.filePath(up.Record))
	if absent(err) {
		return nil, false, nil
	}
	if err != nil || !file.Mode().IsRegular() {
		return nil, false, err
	}
	data, err := s.fs.Lstat(s.dataPath(up.ID))
	if absent(err) {
		return file, false, nil
	}
	if err != nil || !s.fs.SameFile(data, file) {
		return nil, false, err
	}
	return file, true, nil
}
