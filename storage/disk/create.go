package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/holdfast-upload/holdfast/storage"
)

// Create implements storage.Store.
func (s *Store) Create(ctx context.Context, rec storage.Record) error {
	idLock := s.lockID(rec.ID)
	idLock.Lock()
	defer idLock.Unlock()
	if err := s.unused(rec.ID); err != nil {
		return err
	}
	if hasCustomKey(rec) {
		if err := s.reserveKey(ctx, rec); err != nil {
			return err
		}
	}
	err := s.create(rec)
	if err != nil {
		s.releaseKey(rec)
	}
	return err
}

// create writes the journal and an empty data file.
func (s *Store) create(rec storage.Record) error {
	if taken, err := s.exists(s.filePath(rec)); err != nil {
		return mapError("create", rec.ID, err)
	} else if taken {
		return storage.ErrKeyTaken
	}
	line, err := recordLine(rec)
	if err != nil {
		return err
	}
	// Files with these names are left from a Create that never returned success.
	paths := []string{s.dataPath(rec.ID), s.livePath(rec.ID)}
	for i, text := range [][]byte{nil, line} {
		if err := s.writeFile(paths[i], text); err != nil {
			return mapError("create", rec.ID, errors.Join(err, s.removeAll(paths...)))
		}
	}
	if err := s.syncDir(s.own("live")); err != nil {
		return mapError("create", rec.ID, errors.Join(err, s.removeAll(paths...)))
	}
	j, _ := parseJournal(line)
	s.journals.put(j)
	return nil
}

// unused returns nil if the id is not in use, and no tombstone has it.
func (s *Store) unused(id string) error {
	if err := s.syncAgain(s.own("live"), s.own("done"), s.own("gone")); err != nil {
		return mapError("create", id, err)
	}
	if gone, err := s.exists(s.gonePath(id)); err != nil {
		return mapError("create", id, err)
	} else if gone {
		return storage.ErrGone
	}
	if done, err := s.exists(s.donePath(id)); err != nil {
		return mapError("create", id, err)
	} else if done {
		return storage.ErrExists
	}
	_, err := s.journalAt(id, s.livePath(id))
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return s.confirmAbsent(nil)
	case err == nil:
		return storage.ErrExists
	}
	return err
}

// writeFile creates or replaces a file. The content is durable on return, the name is not.
func (s *Store) writeFile(path string, text []byte) error {
	f, err := s.fs.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
	if err != nil {
		s.unsynced.set(filepath.Dir(path), true) // it may exist nevertheless
		return err
	}
	if len(text) > 0 {
		if _, err = f.WriteAt(text, 0); err == nil {
			err = s.sync(f)
		}
	}
	return errors.Join(err, f.Close())
}
