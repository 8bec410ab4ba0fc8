package disk

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/holdfast-upload/holdfast/storage"
)

// open is Open over any file system.
func open(fsys fileSystem, dir string, opts Options) (*Store, error) {
	s := &Store{dir: dir, fs: fsys, noSync: opts.NoSync, seed: maphash.MakeSeed(), open: map[string]*upload{}}
	if err := s.makeOwnDirs(); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := s.fs.Lock(s.own("lock"))
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("the data directory %s is in use by another process: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	s.lock = lock
	if err := s.takeOver(); err != nil {
		return nil, fmt.Errorf("open the data directory: %w", errors.Join(err, lock.Close()))
	}
	return s, nil
}

// takeOver makes the names durable that the process before may have changed and not synced
// when it was killed. What is in the journals is synced when one is read.
func (s *Store) takeOver() (err error) {
	for _, sub := range ownDirs {
		err = errors.Join(err, s.syncDir(s.own(sub)))
	}
	if err == nil {
		s.locked, err = s.fs.Stat(s.own("lock"))
	}
	return err
}

// ownDirs are the directories in DIR/.holdfast.
var ownDirs = []string{"live", "done", "gone"}

func (s *Store) makeOwnDirs() error {
	var errs []error
	for _, sub := range ownDirs {
		errs = append(errs, s.makeDir(s.own(sub)))
	}
	return errors.Join(errs...)
}

// makeDir makes a directory, and those above it that are missing. Each has a durable name
// before there is something in it.
func (s *Store) makeDir(path string) error {
	parent := filepath.Join(path, "..")
	info, err := s.fs.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	case err == nil:
		// It may have been made by a process that was killed before it could sync.
		if err := s.syncDir(parent); !unsyncable(err) {
			return err
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := s.makeDir(parent); err != nil {
		return err
	}
	if err := s.fs.Mkdir(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return s.syncDir(parent)
}

// unsyncable reports whether err is why a directory can't be synced by this process, which
// then has not made what is in it either.
func unsyncable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EINVAL)
}

// notThere returns err, which says that there is no upload, or no file of it, unless the
// directory has vanished with all that was in it: that may come back.
func (s *Store) notThere(err error) error {
	info, statErr := s.fs.Stat(s.own("lock"))
	switch {
	case statErr != nil:
		return storage.Unavailable("find", s.dir, statErr)
	case !s.fs.SameFile(info, s.locked):
		return storage.Unavailable("find", s.dir, errors.New("the data directory was replaced by another"))
	}
	return err
}
