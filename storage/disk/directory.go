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

// open is Open on any file system.
func open(fsys fileSystem, dir string, opts Options) (*Store, error) {
	s := &Store{dir: dir, fs: fsys, noSync: opts.NoSync, fileMode: opts.FileMode, seed: maphash.MakeSeed(), open: map[string]*upload{}, writebackSize: writebackSize}
	if err := s.makeOwnDirs(); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	if err := s.lockDir(); err != nil {
		return nil, fmt.Errorf("lock the data directory %s: %w", dir, errors.Join(err, s.unlock()))
	}
	if err := s.syncOwnDirs(); err != nil {
		return nil, fmt.Errorf("open the data directory: %w", errors.Join(err, s.unlock()))
	}
	return s, nil
}

// lockDir locks a file in the directory, and the directory itself where the file system can
// do that: the lock holds even if all that is in it was removed.
func (s *Store) lockDir() error {
	for _, path := range []string{s.own("lock"), s.dir} {
		lock, err := s.fs.Lock(path)
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("it is in use by another process: %w", err)
		case err != nil && path != s.dir:
			return err
		case err == nil:
			s.locks = append(s.locks, lock)
		}
	}
	return nil
}

func (s *Store) unlock() error {
	var errs []error
	for _, lock := range s.locks {
		errs = append(errs, lock.Close())
	}
	return errors.Join(errs...)
}

// syncOwnDirs syncs the directories, in which a killed process may have changed names
// without syncing. Journals are synced when they are read.
func (s *Store) syncOwnDirs() (err error) {
	for _, sub := range ownDirs {
		err = errors.Join(err, s.syncDir(s.own(sub)))
	}
	if err == nil {
		s.locked, err = s.fs.Stat(s.own("lock"))
	}
	return err
}

// ownDirs are the directories in DIR/.holdfast.
var ownDirs = []string{"live", "done", "gone", "names"}

func (s *Store) makeOwnDirs() error {
	var errs []error
	for _, sub := range ownDirs {
		errs = append(errs, s.makeDir(s.own(sub)))
	}
	return errors.Join(errs...)
}

// makeDir creates a directory and its missing parents. The name of each is durable before
// anything is created in it.
func (s *Store) makeDir(path string) error {
	parent := filepath.Join(path, "..")
	info, err := s.fs.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	case err == nil:
		// It may have been created by a process that was killed before it could sync.
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

// unsyncable reports whether err means that this process cannot sync the directory. Then it
// has not created what is in it either.
func unsyncable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EINVAL)
}

// confirmAbsent returns err, which says that an upload or its file does not exist, unless
// the data directory itself was unmounted or replaced: then it returns an ErrUnavailable,
// since the contents may come back.
func (s *Store) confirmAbsent(err error) error {
	info, statErr := s.fs.Stat(s.own("lock"))
	switch {
	case statErr != nil:
		return storage.Unavailable("find", s.dir, statErr)
	case !s.fs.SameFile(info, s.locked):
		return storage.Unavailable("find", s.dir, errors.New("the data directory was replaced by another"))
	}
	return err
}
