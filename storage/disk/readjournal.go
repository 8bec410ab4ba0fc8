package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/holdfast-upload/holdfast/storage"
)

// readJournal returns the upload that a journal describes, and whether the journal is in
// live/. The caller holds the id lock.
func (s *Store) readJournal(id string) (up storage.Upload, live bool, err error) {
	for _, path := range []string{s.livePath(id), s.donePath(id)} {
		info, err := s.fs.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return storage.Upload{}, false, mapError("load", id, err)
		}
		j, err := s.journalAt(id, path)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		up, live := storage.Upload{Record: j.record, Received: j.ranges, ModifiedAt: info.ModTime(), Delivered: j.delivered, CRC32C: j.checksum()}, path == s.livePath(id)
		switch {
		case !j.delivered.IsZero():
			up.ModifiedAt = j.finished
		case !live: // without a done line
			up.Delivered = up.ModifiedAt
		}
		return up.Clone(), live, err
	}
	return storage.Upload{}, false, s.confirmAbsent(storage.ErrNotFound)
}

// journalAt returns the durable contents of the journal at path, or ErrNotFound if the
// upload was never created. The caller holds the id lock and must not modify the ranges.
func (s *Store) journalAt(id, path string) (journal, error) {
	s.mu.Lock()
	u, isOpen := s.open[id]
	s.mu.Unlock()
	if isOpen {
		return u.journal(), nil
	}
	if j, ok := s.journals.get(id); ok {
		return j, nil
	}
	j, err := s.parseFile(id, path)
	if err == nil {
		// It may have been written by a process that was killed before it could sync.
		err = mapError("sync the journal of", id, s.syncFile(path))
	}
	if err == nil {
		s.journals.put(j)
	}
	return j, err
}

// parseFile parses the journal at path, parts of which may not be durable yet.
func (s *Store) parseFile(id, path string) (journal, error) {
	text, err := s.readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return journal{}, storage.ErrNotFound
	}
	if err != nil {
		return journal{}, mapError("load", id, err)
	}
	j, created := parseJournal(text)
	switch {
	case !created && j.lines > 0, created && j.record.ID != id:
		return journal{}, storage.Unavailable("load", id, fmt.Errorf("the journal %s is damaged: it has no record of this upload", path))
	case !created:
		return journal{}, storage.ErrNotFound
	}
	return j, nil
}

func (s *Store) syncFile(path string) error {
	f, err := s.fs.OpenFile(path, os.O_WRONLY)
	if err != nil {
		return err
	}
	return errors.Join(s.sync(f), f.Close())
}
