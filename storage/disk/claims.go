package disk

import (
	"context"
	"errors"
	"sync"

	"github.com/holdfast-upload/holdfast/storage"
)

// claims knows where the files of live uploads are to be, of those for which that is not
// a fresh id of ours. What it knows is in their journals, and is read from them once.
type claims struct {
	mu    sync.Mutex
	known bool
	ids   map[string]string // by path
}

// claim returns nil if no other live upload is to have its file where that of rec is.
func (s *Store) claim(ctx context.Context, rec storage.Record) error {
	n := &s.claims
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.known {
		if err := s.readClaims(ctx); err != nil {
			return err
		}
	}
	path := s.filePath(rec)
	if id, taken := n.ids[path]; taken && id != rec.ID {
		return storage.ErrKeyTaken
	}
	n.ids[path] = rec.ID
	return nil
}

func (s *Store) readClaims(ctx context.Context) error {
	s.claims.ids = map[string]string{}
	for id, err := range s.List(ctx) {
		if err != nil {
			return err
		}
		up, err := s.load(id)
		if errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrGone) {
			continue
		}
		if err != nil {
			return err
		}
		if named(up.Record) {
			s.claims.ids[s.filePath(up.Record)] = id
		}
	}
	s.claims.known = true
	return nil
}

// unclaim gives up what an upload claims.
func (s *Store) unclaim(rec storage.Record) {
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	if path := s.filePath(rec); s.claims.ids[path] == rec.ID {
		delete(s.claims.ids, path)
	}
}

// named tells whether somebody else chose where the file of an upload is to be.
func named(rec storage.Record) bool { return rec.Chosen || rec.Key != "" }
