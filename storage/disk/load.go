package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

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
	gone, err := exists(s.gonePath(id))
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
	up.Finished, err = s.fileIsThere(up)
	up.Owed = up.Finished && live
	if err == nil && up.Owed {
		up.Parked, err = exists(s.parkedPath(id))
	}
	if err != nil || up.Finished {
		return up, classify("load", id, err)
	}
	if there, err := exists(s.dataPath(id)); err != nil || !there {
		// Somebody took the file away; it can't be said to be complete any more.
		return storage.Upload{}, errors.Join(classify("load", id, err), fmt.Errorf("%w: its file is missing", storage.ErrGone))
	}
	return up, nil
}

// readJournal returns what the journal of an upload says, and whether it lies
// among those of uploads that are not over.
func (s *Store) readJournal(id string) (up storage.Upload, live bool, err error) {
	for _, path := range []string{s.livePath(id), s.donePath(id)} {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return storage.Upload{}, false, classify("load", id, err)
		}
		info, err := os.Stat(path)
		if err != nil {
			return storage.Upload{}, false, classify("load", id, err)
		}
		if j, created := parseJournal(text); created && j.record.ID == id {
			up := storage.Upload{Record: j.record, Received: j.ranges, Touched: info.ModTime()}
			return up, path == s.livePath(id), nil
		}
	}
	return storage.Upload{}, false, storage.ErrNotFound
}

func (s *Store) fileIsThere(up storage.Upload) (bool, error) {
	info, err := os.Stat(s.filePath(up.Record))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Size() == up.Size, err
}
