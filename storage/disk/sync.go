package disk

import (
	"errors"
	"io/fs"
	"sync"
)

// sync makes the content and size of f durable.
func (s *Store) sync(f writableFile) error {
	if s.noSync {
		return nil
	}
	return f.Sync()
}

// syncDir makes the names in a directory durable.
func (s *Store) syncDir(path string) error {
	if s.noSync {
		return nil
	}
	err := s.fs.SyncDir(path)
	s.unsynced.set(path, err != nil && !errors.Is(err, fs.ErrNotExist))
	return err
}

// syncAgain syncs those of the directories whose last sync failed: until then a power loss
// may change what names are in them.
func (s *Store) syncAgain(dirs ...string) error {
	for _, dir := range dirs {
		if s.unsynced.has(dir) {
			if err := s.syncDir(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// unsynced is the set of directories whose last sync failed.
type unsynced struct {
	mu   sync.Mutex
	dirs map[string]bool
}

func (u *unsynced) set(dir string, failed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !failed {
		delete(u.dirs, dir)
		return
	}
	if u.dirs == nil {
		u.dirs = map[string]bool{}
	}
	u.dirs[dir] = true
}

func (u *unsynced) has(dir string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.dirs[dir]
}
