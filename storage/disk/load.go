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
	idLock := s.lockID(id)
	idLock.RLock()
	defer idLock.RUnlock()
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
	delivered := !up.Delivered.IsZero()
	up.DeliveryPending = up.Finished && !delivered
	if err == nil && up.DeliveryPending {
		up.DeadLettered, err = s.exists(s.deadLetterPath(id))
	}
	if err == nil && delivered && !up.Finished {
		up.Finished, up.FileMissing = true, true
	}
	if err != nil || up.Finished {
		return up, mapError("load", id, err)
	}
	if found, err := s.exists(s.dataPath(id)); err != nil || !found {
		// The file was moved or deleted; the upload is no longer complete.
		return storage.Upload{}, errors.Join(mapError("load", id, err), s.confirmAbsent(fmt.Errorf("%w: its file is missing", storage.ErrGone)))
	}
	return up, nil
}

// isFinished reports whether the complete upload has its final file, of the right size. It
// completes a finish that was interrupted.
func (s *Store) isFinished(up storage.Upload) (bool, error) {
	file, beside, err := s.ownFile(up)
	if file == nil || file.Size() != up.Size {
		return false, err
	}
	switch beside {
	case link:
		err = s.removeData(up, s.dataPath(up.ID))
	case original:
		err = s.removeData(up, s.copyPath(up.Record))
	default:
		err = s.syncAgain(filepath.Dir(s.filePath(up.Record)))
	}
	return err == nil, err
}

// dataFile is what the data file of an upload with a final file is.
type dataFile int

const (
	removed  dataFile = iota // there is none
	link                     // another name of the final file
	original                 // the final file is a copy of it
)

// ownFile finds the final file of a complete upload, nil if there is none. A file with that
// name belongs to the upload once the data file is gone. After a crash in between, both are
// links to the same file, or one is a copy of the other.
func (s *Store) ownFile(up storage.Upload) (file fs.FileInfo, beside dataFile, err error) {
	if moved, err := s.exists(s.movedPath(up.ID)); err != nil || moved {
		return nil, removed, err
	}
	file, err = s.fs.Stat(s.filePath(up.Record))
	if absent(err) {
		return nil, removed, nil
	}
	if err != nil || !file.Mode().IsRegular() {
		return nil, removed, err
	}
	data, err := s.fs.Lstat(s.dataPath(up.ID))
	switch {
	case absent(err):
		return file, removed, nil
	case err != nil:
		return nil, removed, err
	case s.fs.SameFile(data, file):
		return file, link, nil
	case data.Size() != file.Size():
		return nil, removed, nil
	}
	if copied, err := s.isCopy(up, data.Size()); err != nil || !copied {
		return nil, removed, err
	}
	return file, original, nil
}
