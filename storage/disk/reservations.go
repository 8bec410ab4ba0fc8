package disk

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"sync"

	"github.com/holdfast-upload/holdfast/storage"
)

// claims knows where the files of live uploads are to be, of those for which that is not
// a fresh id of ours. What it knows is in their journals, and is read from them once.
type reservations struct {
	mu    sync.Mutex
	known bool
	ids   map[string]string // by path
	dirs  map[string]int    // how many of these lie below a directory, by its path
}

// claim returns nil if no other live upload is to have its file where that of rec is, or
// is to be a directory of it, or the other way round.
func (s *Store) reserveKey(ctx context.Context, rec storage.Record) error {
	c := &s.reservations
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		if err := s.readReservations(ctx); err != nil {
			return err
		}
	}
	path := s.filePath(rec)
	if _, taken := c.ids[path]; taken || c.dirs[path] > 0 {
		return storage.ErrKeyTaken
	}
	for dir := range s.above(path) {
		if _, taken := c.ids[dir]; taken {
			return storage.ErrKeyTaken
		}
	}
	s.note(path, rec.ID)
	return nil
}

func (s *Store) note(path, id string) {
	s.reservations.ids[path] = id
	for dir := range s.above(path) {
		s.reservations.dirs[dir]++
	}
}

// above yields the directories of a path that a key asks for, the lowest first.
func (s *Store) above(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for dir := filepath.Dir(path); dir != filepath.Clean(s.dir) && yield(dir); dir = filepath.Dir(dir) {
		}
	}
}

// readClaims reads what was claimed before this process. It must take no guard: whoever
// creates an upload has one, and waits for claims.
func (s *Store) readReservations(ctx context.Context) error {
	s.reservations.ids, s.reservations.dirs = map[string]string{}, map[string]int{}
	for id, err := range s.List(ctx) {
		if err != nil {
			return err
		}
		j, err := s.parseFile(id, s.livePath(id))
		if errors.Is(err, storage.ErrNotFound) {
			continue // half of a creation, or over by now
		}
		gone, goneErr := s.exists(s.gonePath(id))
		if err := errors.Join(err, goneErr); err != nil {
			return mapError("read the claim of", id, err)
		}
		if !gone && hasCustomKey(j.record) {
			s.note(s.filePath(j.record), id)
		}
	}
	s.reservations.known = true
	return nil
}

// unclaim gives up what an upload claims.
func (s *Store) releaseKey(rec storage.Record) {
	s.reservations.mu.Lock()
	defer s.reservations.mu.Unlock()
	path := s.filePath(rec)
	if s.reservations.ids[path] != rec.ID {
		return
	}
	delete(s.reservations.ids, path)
	for dir := range s.above(path) {
		if s.reservations.dirs[dir]--; s.reservations.dirs[dir] == 0 {
			delete(s.reservations.dirs, dir)
		}
	}
}

// named tells whether somebody else chose where the file of an upload is to be.
func hasCustomKey(rec storage.Record) bool { return rec.ClientChosenID || rec.Key != "" }
