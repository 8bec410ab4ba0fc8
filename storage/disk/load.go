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
	guard := s.lockID(id)
	guard.RLock()
	defer guard.RUnlock()
	up, err := s.load(id)
	if !up.Finished {
		up.CRC32C = nil
	}
	return up, err
}

func (s *Store) load(id string) (storage.Upload, error) {
	if err := s.syncAgain(s.own("live"), s.own("done"), s.own("gone")); err != nil {
		return storage.Upload{}, mapError("load", id, err)
	}
	gone, err := s.exists(s.gonePath(id))
	if err != nil {
		return storage.Upload{}, mapError("load", id, err)
	}
	if gone {
		return s.loadDeleted(id)
	}
	up, _, err := s.readJournal(id)
	if err != nil {
		return storage.Upload{}, err
	}
	if !up.Complete() {
		return up, nil
	}
	up.Finished, err = s.isFinished(up)
	retired := !up.Delivered.IsZero()
	up.DeliveryPending = up.Finished && !retired
	if err == nil && up.DeliveryPending {
		up.DeadLettered, err = s.exists(s.parkedPath(id))
	}
	if err == nil && retired && !up.Finished {
		up.Finished, up.FileMissing = true, true
	}
	if err != nil || up.Finished {
		return up, mapError("load", id, err)
	}
	if there, err := s.exists(s.dataPath(id)); err != nil || !there {
		// Somebody took the file away; it can't be said to be complete any more.
		return storage.Upload{}, errors.Join(mapError("load", id, err), s.notThere(fmt.Errorf("%w: its file is missing", storage.ErrGone)))
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
	if moved, err := s.exists(s.movedPath(up.ID)); err != nil || moved {
		return nil, false, err
	}
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
