package disk

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"sync"

	"github.com/holdfast-upload/holdfast/storage"
)

// reservations are the paths of the final files of live uploads, except those named after a
// generated id. They are read from the journals once.
type reservations struct {
	mu     sync.Mutex
	loaded bool
	ids    map[string]string // by path
	dirs   map[string]int    // number of these below a directory, by its path
}

// reserveKey reserves the path of rec's final file. It returns ErrKeyTaken if another live
// upload has reserved the same path, or one of which it would be a parent directory, or vice
// versa.
func (s *Store) reserveKey(ctx context.Context, rec storage.Record) error {
	c := &s.reservations
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded {
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
	s.addReservation(path, rec.ID)
	return nil
}

func (s *Store) addReservation(path, id string) {
	s.reservations.ids[path] = id
	for dir := range s.above(path) {
		s.reservations.dirs[dir]++
	}
}

// above yields the parent directories of a path inside the data directory, innermost first.
func (s *Store) above(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for dir := filepath.Dir(path); dir != filepath.Clean(s.dir) && yield(dir); dir = filepath.Dir(dir) {
		}
	}
}

// readReservations loads the reservations made before this process started. It must not take
// an id lock: a Create holds one while it waits for reservations.mu.
func (s *Store) readReservations(ctx context.Context) error {
	s.reservations.ids, s.reservations.dirs = map[string]string{}, map[string]int{}
	for id, err := range s.List(ctx) {
		if err != nil {
			return err
		}
		j, err := s.parseFile(id, s.livePath(id))
		if errors.Is(err, storage.ErrNotFound) {
			continue // an interrupted Create, or finished meanwhile
		}
		gone, goneErr := s.exists(s.gonePath(id))
		if err := errors.Join(err, goneErr); err != nil {
			return mapError("read the reservation of", id, err)
		}
		if !gone && hasCustomKey(j.record) {
			s.addReservation(s.filePath(j.record), id)
		}
	}
	s.reservations.loaded = true
	return nil
}

// releaseKey releases the path that an upload has reserved.
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

// hasCustomKey reports whether the path of the upload's file was chosen by a client or by
// the application.
func hasCustomKey(rec storage.Record) bool { return rec.ClientChosenID || rec.Key != "" }
