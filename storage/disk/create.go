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
	guard := s.lockID(rec.ID)
	guard.Lock()
	defer guard.Unlock()
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

// create makes the journal, and an empty data file.
func (s *Store) create(rec storage.Record) error {
	if taken, err := s.exists(s.filePath(rec)); err != nil || taken {
		return errors.Join(mapError("create", rec.ID, err), ifTrue(taken, storage.ErrKeyTaken))
	}
	line, err := recordLine(rec)
	if err != nil {
		return err
	}
	// What may lie at these names is half of a creation that nobody was told of.
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

// unused returns nil if no upload has, or lately had, the id.
func (s *Store) unused(id string) error {
	if err := s.syncAgain(s.own("live"), s.own("done"), s.own("gone")); err != nil {
		return mapError("create", id, err)
	}
	if gone, err := s.exists(s.gonePath(id)); err != nil || gone {
		return errors.Join(mapError("create", id, err), ifTrue(gone, storage.ErrGone))
	}
	if done, err := s.exists(s.donePath(id)); err != nil || done {
		return errors.Join(mapError("create", id, err), ifTrue(done, storage.ErrExists))
	}
	_, err := s.journalAt(id, s.livePath(id))
	if errors.Is(err, storage.ErrNotFound) {
		return s.notThere(nil)
	}
	return errors.Join(err, ifTrue(err == nil, storage.ErrExists))
}

func ifTrue(b bool, err error) error {
	if b {
		return err
	}
	return nil
}

// writeFile makes a file with the given text, durable but for its name.
func (s *Store) writeFile(path string, text []byte) error {
	f, err := s.fs.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
	if err != nil {
		s.unsynced.set(filepath.Dir(path), true) // it may be there all the same
		return err
	}
	if len(text) > 0 {
		if _, err = f.WriteAt(text, 0); err == nil {
			err = s.sync(f)
		}
	}
	return errors.Join(err, f.Close())
}
