package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

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
	j, touched, err := s.readJournal(id)
	if err != nil {
		return storage.Upload{}, err
	}
	up := storage.Upload{Record: j.record, Received: j.ranges, Touched: touched}
	if !up.Complete() {
		return up, nil
	}
	up.Finished, err = s.fileIsThere(up)
	if err != nil || up.Finished {
		return up, classify("load", id, err)
	}
	if there, err := exists(s.dataPath(id)); err != nil || !there {
		// Somebody took the file away; it can't be said to be complete any more.
		return storage.Upload{}, errors.Join(classify("load", id, err), fmt.Errorf("%w: its file is missing", storage.ErrGone))
	}
	return up, nil
}

// readJournal returns the journal of an upload, finished or not, and the time
// when something was last added to it.
func (s *Store) readJournal(id string) (journal, time.Time, error) {
	for _, path := range []string{s.livePath(id), s.donePath(id)} {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return journal{}, time.Time{}, classify("load", id, err)
		}
		info, err := os.Stat(path)
		if err != nil {
			return journal{}, time.Time{}, classify("load", id, err)
		}
		if j, created := parseJournal(text); created && j.record.ID == id {
			return j, info.ModTime(), nil
		}
	}
	return journal{}, time.Time{}, storage.ErrNotFound
}

func (s *Store) fileIsThere(up storage.Upload) (bool, error) {
	info, err := os.Stat(s.filePath(up.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Size() == up.Size, err
}
