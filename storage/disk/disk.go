// Package disk stores uploads in a directory of a local file system.
//
// The bytes of an upload are written at their offset into one sparse file. A journal beside
// it, with a checksum on every line, records which ranges are stored: a line is appended
// only after its bytes were synced. So what the journal says survives a power loss, and a
// line that was cut off is ignored. Finish gives the data file its final name. It never
// replaces another file: of several uploads with the same key, the first to finish gets it.
//
// Nothing is acknowledged, or read from a journal or directory, that a power loss could
// revert: what a killed process or a failed sync may have left unsynced is synced before it
// is used. The file system must honor syncs, must make changes to the names in one directory
// durable in order, and, where it has no hard links, must rename atomically.
//
//	DIR/ID                    the finished file, or DIR/KEY if the upload has a key
//	DIR/.holdfast/live/ID.log    the journal: record, size, ranges
//	DIR/.holdfast/live/ID.data   the bytes of an unfinished upload
//	DIR/.holdfast/live/ID.deadletter marks a finished upload whose delivery is dead-lettered
//	DIR/.holdfast/done/ID.log    the journal of a delivered upload, whose file may be missing
//	DIR/.holdfast/gone/ID        the tombstone of a deleted upload
//	DIR/.holdfast/lock           locked, like DIR itself, by the one process that uses DIR
package disk

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/holdfast-upload/holdfast/storage"
)

// Options relax what the store guarantees. The zero value guarantees the most.
type Options struct {
	// NoSync leaves it to the operating system when bytes reach the disk. What was
	// acknowledged then survives a crash of the process, but not always one of the machine.
	NoSync bool
	// FileMode has the permissions of finished files, whatever the umask; 0 is 0640, less
	// the umask.
	FileMode fs.FileMode
}

// Store is a storage.Store in a directory. Create it with Open.
type Store struct {
	dir      string
	fs       fileSystem
	noSync   bool
	fileMode fs.FileMode

	writebackSize int64 // the constant of this name; smaller in tests

	locks  []io.Closer
	locked fs.FileInfo // the lock file

	idLocks [256]sync.RWMutex // by hash of the id; held for writing by create, finish and delete
	seed    maphash.Seed

	reservations reservations

	mu       sync.Mutex
	open     map[string]*upload
	journals journalCache

	naming   sync.Mutex // held while renameFile checks and renames
	unsynced unsynced
}

var (
	_ storage.Store   = (*Store)(nil)
	_ storage.Cleaner = (*Store)(nil)
	_ storage.Checker = (*Store)(nil)
)

// Open opens the store in dir, which it creates if necessary. It fails if another process
// uses it.
func Open(dir string, opts Options) (*Store, error) { return open(osFileSystem{}, dir, opts) }

// Close unlocks the directory. Writes in progress fail from then on.
func (s *Store) Close() error {
	s.mu.Lock()
	for _, u := range s.open {
		u.fail(storage.ErrUnavailable)
	}
	s.mu.Unlock()
	return s.unlock()
}

// Check implements storage.Checker by creating a file.
func (s *Store) Check(context.Context) error {
	path := s.own(fmt.Sprintf("probe%d", rand.Uint64()))
	probe, err := s.fs.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
	if err != nil {
		return mapError("check", s.dir, err)
	}
	_, err = probe.WriteAt([]byte("x"), 0)
	return mapError("check", s.dir, errors.Join(err, probe.Close(), s.fs.Remove(path)))
}

func (s *Store) own(sub ...string) string {
	return filepath.Join(append([]string{s.dir, ".holdfast"}, sub...)...)
}

func (s *Store) filePath(rec storage.Record) string {
	if rec.Key != "" {
		return filepath.Join(s.dir, filepath.FromSlash(rec.Key))
	}
	return filepath.Join(s.dir, rec.ID)
}

func (s *Store) dataPath(id string) string { return s.own("live", id+".data") }
func (s *Store) livePath(id string) string { return s.own("live", id+".log") }
func (s *Store) donePath(id string) string { return s.own("done", id+".log") }
func (s *Store) gonePath(id string) string { return s.own("gone", id) }

func (s *Store) deadLetterPath(id string) string { return s.own("live", id+".deadletter") }

func (s *Store) lockID(id string) *sync.RWMutex {
	return &s.idLocks[maphash.String(s.seed, id)%uint64(len(s.idLocks))]
}

func (s *Store) readFile(path string) ([]byte, error) {
	f, err := s.fs.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(f)
	return text, errors.Join(err, f.Close())
}

// mapError wraps an error of the file system during op on an upload, and maps it to one of
// package storage.
func mapError(op, id string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%w: the file system cannot hold a file of this size", storage.ErrTooLarge)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s %s: %w: %w", op, id, storage.ErrNoSpace, err)
	case errors.Is(err, storage.ErrKeyTaken):
		return fmt.Errorf("%s %s: %w", op, id, err)
	case errors.Is(err, syscall.ENOTDIR):
		// A parent directory in the upload's key is a file.
		return fmt.Errorf("%s %s: %w: %w", op, id, storage.ErrKeyTaken, err)
	default:
		return storage.Unavailable(op, id, err)
	}
}

func (s *Store) exists(path string) (bool, error) {
	_, err := s.fs.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// absent reports whether err means that the file does not exist: there is no such name, or
// one of its parent directories is a file.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// removeAll removes those of the files that exist.
func (s *Store) removeAll(paths ...string) error {
	var errs []error
	for _, p := range paths {
		if err := s.fs.Remove(p); err != nil && !absent(err) {
			s.unsynced.set(filepath.Dir(p), true) // it may be removed nevertheless
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
