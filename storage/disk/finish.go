package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/holdfast-upload/holdfast/storage"
)

// Finish implements storage.Store. All bytes are durable already, since the
// journal says that they are there; what remains is to give the file its name.
func (s *Store) Finish(_ context.Context, up storage.Upload) (storage.Upload, error) {
	guard := s.lockID(up.ID)
	guard.Lock()
	defer guard.Unlock()
	now, err := s.load(up.ID)
	if err != nil {
		return up, err
	}
	if !now.Complete() {
		return up, fmt.Errorf("finish %s: %w", up.ID, storage.ErrIncomplete)
	}
	if now.Finished {
		return now, nil
	}
	s.stopWriting(up.ID)
	if now.CRC32C == nil {
		now.CRC32C = s.addChecksum(now)
	}
	return now, mapError("finish", up.ID, s.nameFile(now))
}

// Retire implements storage.Store: it takes the journal to where those of finished
// uploads lie. A Partial one stays listed, for it still has to expire. One that was
// deleted meanwhile is removed.
func (s *Store) MarkDelivered(_ context.Context, up storage.Upload) error {
	guard := s.lockID(up.ID)
	guard.Lock()
	defer guard.Unlock()
	if up.Partial {
		return nil
	}
	gone, err := s.exists(s.gonePath(up.ID))
	switch {
	case err == nil && gone:
		err = errors.Join(s.removeUpload(up.ID, false), s.syncDir(s.own("live")))
	case err == nil:
		err = s.retire(up)
	}
	return mapError("retire", up.ID, err)
}

func (s *Store) retire(up storage.Upload) error {
	err := s.noteDelivered(up.ID)
	if err == nil {
		err = s.retireJournal(s.livePath(up.ID), s.donePath(up.ID))
		s.journals.drop(up.ID) // it says more now
	}
	if errors.Is(err, fs.ErrNotExist) {
		return s.notThere(nil) // it was retired before, or deleted
	}
	if err == nil {
		s.releaseKey(up.Record)
		err = errors.Join(s.removeAll(s.parkedPath(up.ID)), s.syncDir(s.own("live")))
	}
	return err
}

// retireJournal gives a journal another name. The first name goes only once the other is
// on the disk.
func (s *Store) retireJournal(live, done string) error {
	err := s.fs.Link(live, done)
	if noLinks(err) {
		return errors.Join(s.fs.Rename(live, done), s.syncDir(s.own("done")))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // of a retirement that was cut short
		return err
	}
	if err := s.syncDir(s.own("done")); err != nil {
		return err
	}
	return s.removeAll(live)
}

// noLinks reports whether err is why a file can't have two names here. There the store
// relies on a rename between directories being one step, also over a power loss, as
// file systems with a journal make it.
func noLinks(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM)
}

// Park implements storage.Store.
func (s *Store) DeadLetter(_ context.Context, up storage.Upload) error {
	guard := s.lockID(up.ID)
	guard.Lock()
	defer guard.Unlock()
	if owed, err := s.exists(s.livePath(up.ID)); err != nil || !owed {
		return errors.Join(mapError("park", up.ID, err), s.notThere(nil))
	}
	if err := s.writeFile(s.parkedPath(up.ID), nil); err != nil {
		return mapError("park", up.ID, err)
	}
	return mapError("park", up.ID, s.syncDir(s.own("live")))
}

// nameFile gives the data file the name of the upload's file. Its own name goes only
// once the other is on the disk.
func (s *Store) nameFile(up storage.Upload) error {
	data, path := s.dataPath(up.ID), s.filePath(up.Record)
	j, err := s.journalAt(up.ID, s.livePath(up.ID))
	if err != nil {
		return err
	}
	if err := s.trim(data, up.Size, j.late); err != nil {
		return err
	}
	if err := s.makeDirs(up.Record); err != nil {
		return err
	}
	if err := s.takeName(up.Record); err != nil {
		return err
	}
	if err := s.linkFile(data, path); err != nil {
		return err
	}
	return s.removeData(up)
}

// trim cuts off the bytes that were on their way while a smaller size was declared, for
// good: a file of another size would not count as the upload's. That it is cut may be the
// work of a process that was killed before it could sync.
func (s *Store) trim(data string, size int64, late bool) error {
	info, err := s.fs.Stat(data)
	switch {
	case err != nil:
		return err
	case info.Size() < size:
		return fmt.Errorf("the data file has %d bytes, the upload %d", info.Size(), size)
	case info.Size() == size && !late:
		return nil
	}
	f, err := s.fs.OpenFile(data, os.O_WRONLY)
	if err != nil {
		return err
	}
	if info.Size() > size {
		err = f.Truncate(size)
	}
	if err == nil {
		err = s.sync(f)
	}
	return errors.Join(err, f.Close())
}

// linkFile makes path another name of the data file, and never takes it from another
// file.
func (s *Store) linkFile(data, path string) error {
	err := s.fs.Link(data, path)
	switch {
	case errors.Is(err, fs.ErrExist):
		return s.occupied(data, path)
	case noLinks(err):
		return s.renameFile(data, path)
	}
	return err
}

// renameFile is linkFile where a file can't have two names. Only this process gives
// names, and it gives one at a time.
func (s *Store) renameFile(data, path string) error {
	s.naming.Lock()
	defer s.naming.Unlock()
	there, err := s.exists(path)
	switch {
	case err != nil:
		return err
	case there:
		return s.occupied(data, path)
	}
	err = s.fs.Rename(data, path)
	if err != nil {
		s.unsynced.set(filepath.Dir(path), true) // it may have that name all the same
	}
	return err
}

// occupied returns nil if path is a name of the data file already, and ErrKeyTaken if it
// is one of another file. A directory that is in the way may go with what is in it.
func (s *Store) occupied(data, path string) error {
	own, err := s.fs.Lstat(data)
	if err != nil {
		return err
	}
	other, err := s.fs.Lstat(path)
	switch {
	case err != nil:
		return err
	case s.fs.SameFile(own, other):
		return nil
	case other.IsDir():
		return fmt.Errorf("%s: %w", path, syscall.EISDIR)
	}
	return storage.ErrKeyTaken
}

// removeData removes the data file's own name after it was given that of the
// upload's file.
func (s *Store) removeData(up storage.Upload) error {
	if err := s.syncDir(filepath.Dir(s.filePath(up.Record))); err != nil {
		return err
	}
	return s.removeAll(s.dataPath(up.ID))
}

// makeDirs makes the directories that a key asks for, and their names durable.
func (s *Store) makeDirs(rec storage.Record) error {
	dir := s.dir
	parents := strings.Split(rec.Key, "/")
	for _, name := range parents[:len(parents)-1] {
		err := s.fs.Mkdir(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrExist) {
			err = nil
		}
		if err := errors.Join(err, s.syncDir(dir)); err != nil {
			return err
		}
		dir = filepath.Join(dir, name)
	}
	return nil
}

// Open implements storage.Store.
func (s *Store) Open(_ context.Context, up storage.Upload, offset int64) (io.ReadCloser, error) {
	f, err := s.fs.Open(s.filePath(up.Record))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, s.notThere(fmt.Errorf("open %s: %w: its file is missing", up.ID, storage.ErrGone))
	}
	if err != nil {
		return nil, mapError("open", up.ID, err)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, mapError("open", up.ID, errors.Join(err, f.Close()))
	}
	return f, nil
}
