// Package disk is the embedded store: a directory on one machine, and nothing
// else to install.
//
// The bytes of an upload are written at their offset into one sparse file. A
// journal beside it, of which every line carries a checksum, says which ranges
// are there: a line is appended only after the bytes it speaks of are on the
// disk. So whatever the journal says survives a power loss, and a line that one
// cut off is ignored. Finishing gives the data file its name, which it takes from no
// other file: of uploads whose files are to have one name, the first to finish has it.
//
// Nothing is acknowledged that a power loss could take back, and nothing is read from a
// journal or a directory that could: what a process that was killed, or a sync that has
// failed, may have left unsynced is synced before it is believed. Of the file system it
// asks that a sync does what it says, that changes to the names in one directory become
// durable in their order, and, where a file can't have two names, that a rename is one step.
//
//	DIR/ID                    the finished file, or DIR/KEY if it has a key of its own
//	DIR/.holdfast/live/ID.log    the journal: record, declared size, ranges
//	DIR/.holdfast/live/ID.data   the bytes of an unfinished upload
//	DIR/.holdfast/live/ID.parked the mark of a finished one that is not told of any more
//	DIR/.holdfast/done/ID.log    the journal of a finished one, whose file may be missing
//	DIR/.holdfast/gone/ID        the mark of a deleted one
//	DIR/.holdfast/lock           held by the one process that uses DIR
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

// Options relax what the store promises. The zero value promises most.
type Options struct {
	// NoSync leaves it to the operating system when bytes reach the disk. What was
	// acknowledged then survives the end of the process, however it comes, but
	// not always that of the machine.
	NoSync bool
}

// Store is a storage.Store in a directory. Create it with Open.
type Store struct {
	dir    string
	fs     fileSystem
	noSync bool
	lock   io.Closer
	locked fs.FileInfo // the file that is locked

	idLocks [256]sync.RWMutex // by hash of the id: creation, finish and deletion are alone
	seed    maphash.Seed

	reservations reservations

	mu       sync.Mutex
	open     map[string]*upload
	journals journalCache

	naming   sync.Mutex // held while renameFile looks and renames
	unsynced unsynced
}

var (
	_ storage.Store   = (*Store)(nil)
	_ storage.Cleaner = (*Store)(nil)
	_ storage.Checker = (*Store)(nil)
)

// Open makes dir a store, or opens the one that it is. It fails if another
// process uses it.
func Open(dir string, opts Options) (*Store, error) { return open(osFileSystem{}, dir, opts) }

// Close lets go of the directory. Writes in progress fail from then on.
func (s *Store) Close() error {
	s.mu.Lock()
	for _, u := range s.open {
		u.fail(storage.ErrUnavailable)
	}
	s.mu.Unlock()
	return s.lock.Close()
}

// Check implements storage.Checker by making a file.
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

func (s *Store) parkedPath(id string) string { return s.own("live", id+".parked") }

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

// classify wraps what the operating system said while op was done on an upload.
func mapError(op, id string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%s %s: %w: %w", op, id, storage.ErrNoSpace, err)
	case errors.Is(err, storage.ErrKeyTaken):
		return fmt.Errorf("%s %s: %w", op, id, err)
	case errors.Is(err, syscall.ENOTDIR):
		// A directory of the upload's key is a file.
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

// absent tells whether err says that nothing has the name, nor can have while a
// directory of it is a file.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// removeAll removes the files that exist among paths.
func (s *Store) removeAll(paths ...string) error {
	var errs []error
	for _, p := range paths {
		if err := s.fs.Remove(p); err != nil && !absent(err) {
			s.unsynced.set(filepath.Dir(p), true) // it may be gone all the same
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
