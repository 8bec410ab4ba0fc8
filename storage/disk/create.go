package disk

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/holdfast-upload/holdfast/storage"
)

// Create implements storage.Store.
func (s *Store) Create(ctx context.Context, rec storage.Record) error {
	guard := s.guard(rec.ID)
	guard.Lock()
	defer guard.Unlock()
	if err := s.unused(rec.ID); err != nil {
		return err
	}
	if named(rec) {
		if err := s.claim(ctx, rec); err != nil {
			return err
		}
	}
	err := s.create(rec)
	if err != nil {
		s.unclaim(rec)
	}
	return err
}

// create makes the journal, and an empty data file.
func (s *Store) create(rec storage.Record) error {
	if taken, err := s.exists(s.filePath(rec)); err != nil || taken {
		return errors.Join(classify("create", rec.ID, err), ifTrue(taken, storage.ErrKeyTaken))
	}
	line, err := recordLine(rec)
	if err != nil {
		return err
	}
	// What may lie at these names is half of a creation that nobody was told of.
	paths := []string{s.dataPath(rec.ID), s.livePath(rec.ID)}
	for i, text := range [][]byte{nil, line} {
		if err := s.writeFile(paths[i], text); err != nil {
			return classify("create", rec.ID, errors.Join(err, s.removeAll(paths...)))
		}
	}
	if err := s.syncDir(s.own("live")); err != nil {
		return classify("create", rec.ID, errors.Join(err, s.removeAll(paths...)))
	}
	return nil
}

// unused returns nil if no upload has, or lately had, the id.
func (s *Store) unused(id string) error {
	if gone, err := s.exists(s.gonePath(id)); err != nil || gone {
		return errors.Join(classify("create", id, err), ifTrue(gone, storage.ErrGone))
	}
	if done, err := s.exists(s.donePath(id)); err != nil || done {
		return errors.Join(classify("create", id, err), ifTrue(done, storage.ErrExists))
	}
	text, err := s.readFile(s.livePath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, created := parseJournal(text)
	return errors.Join(classify("create", id, err), ifTrue(created, storage.ErrExists))
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
		return err
	}
	if len(text) > 0 {
		if _, err = f.WriteAt(text, 0); err == nil {
			err = s.sync(f)
		}
	}
	return errors.Join(err, f.Close())
}
