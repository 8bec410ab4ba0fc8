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

// Finish implements storage.Store. All bytes in the journal are durable already; what
// remains is to give the file its final name, or a copy of it if that is on another file
// system.
func (s *Store) Finish(_ context.Context, up storage.Upload) (storage.Upload, error) {
	done, err := s.finish(up, s.dataPath(up.ID))
	if errors.Is(err, syscall.EXDEV) {
		return s.finishByCopy(done)
	}
	return done, err
}

// finish gives a file its final name: the data file of a complete upload, or a copy.
func (s *Store) finish(up storage.Upload, file string) (storage.Upload, error) {
	idLock := s.lockID(up.ID)
	idLock.Lock()
	defer idLock.Unlock()
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
	return now, mapError("finish", up.ID, s.nameFile(now, file))
}

// MarkDelivered implements storage.Store. It moves the journal from live/ to done/. A
// Partial upload stays in live/, and listed, because it has yet to expire. An upload that
// was deleted meanwhile is removed.
func (s *Store) MarkDelivered(_ context.Context, up storage.Upload) error {
	idLock := s.lockID(up.ID)
	idLock.Lock()
	defer idLock.Unlock()
	if up.Partial {
		return nil
	}
	gone, err := s.exists(s.gonePath(up.ID))
	switch {
	case err == nil && gone:
		err = errors.Join(s.removeUpload(up.ID, false), s.syncDir(s.own("live")))
	case err == nil:
		err = s.markDelivered(up)
	}
	return mapError("mark delivered", up.ID, err)
}

func (s *Store) markDelivered(up storage.Upload) error {
	err := s.appendDone(up.ID)
	if err == nil {
		err = s.moveJournal(s.livePath(up.ID), s.donePath(up.ID))
		s.journals.drop(up.ID) // the journal has a new line
	}
	if errors.Is(err, fs.ErrNotExist) {
		return s.confirmAbsent(nil) // it was marked before, or deleted
	}
	if err == nil {
		s.releaseKey(up.Record)
		err = errors.Join(s.removeAll(s.deadLetterPath(up.ID)), s.syncDir(s.own("live")))
	}
	return err
}

// moveJournal renames a journal. The old name is removed only once the new one is durable.
func (s *Store) moveJournal(live, done string) error {
	err := s.fs.Link(live, done)
	if noLinks(err) {
		return errors.Join(s.fs.Rename(live, done), s.syncDir(s.own("done")))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // left by an interrupted move
		return err
	}
	if err := s.syncDir(s.own("done")); err != nil {
		return err
	}
	return s.removeAll(live)
}

// noLinks reports whether err means that the file system has no hard links. Then the store
// relies on renames between directories being atomic, even across a power loss, as
// journaling file systems make them.
func noLinks(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM)
}

// DeadLetter implements storage.Store.
func (s *Store) DeadLetter(_ context.Context, up storage.Upload) error {
	idLock := s.lockID(up.ID)
	idLock.Lock()
	defer idLock.Unlock()
	if live, err := s.exists(s.livePath(up.ID)); err != nil || !live {
		return errors.Join(mapError("dead-letter", up.ID, err), s.confirmAbsent(nil))
	}
	if err := s.writeFile(s.deadLetterPath(up.ID), nil); err != nil {
		return mapError("dead-letter", up.ID, err)
	}
	return mapError("dead-letter", up.ID, s.syncDir(s.own("live")))
}

// nameFile gives the data file, or its copy, its final name. The old name is removed only once
// the new one is durable.
func (s *Store) nameFile(up storage.Upload, file string) error {
	data, path := s.dataPath(up.ID), s.filePath(up.Record)
	j, err := s.journalAt(up.ID, s.livePath(up.ID))
	if err != nil {
		return err
	}
	if err := s.trim(data, up.Size, j.late); err != nil {
		return err
	}
	if err := errors.Join(s.setMode(data), s.makeDirs(up.Record)); err != nil {
		return err
	}
	if err := s.recordName(up.Record); err != nil {
		return err
	}
	if file != data {
		if err := s.recordCopy(up.ID); err != nil {
			return err
		}
	}
	if err := s.linkFile(file, path); err != nil {
		return err
	}
	return s.removeData(up, file)
}

// trim truncates the data file to size, durably, because a file of another size does not
// count as the upload's. Excess bytes were in flight while a smaller size was set. A file
// that is short enough already is synced nevertheless if late is set: a killed process may
// have truncated it without syncing.
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

// linkFile links the data file to path. It never replaces another file.
func (s *Store) linkFile(data, path string) error {
	err := s.fs.Link(data, path)
	switch {
	case errors.Is(err, fs.ErrExist):
		return s.checkOccupied(data, path)
	case noLinks(err):
		return s.renameFile(data, path)
	}
	return err
}

// renameFile is linkFile for file systems without hard links. Only this process assigns
// names, one at a time.
func (s *Store) renameFile(data, path string) error {
	s.naming.Lock()
	defer s.naming.Unlock()
	taken, err := s.exists(path)
	switch {
	case err != nil:
		return err
	case taken:
		return s.checkOccupied(data, path)
	}
	err = s.fs.Rename(data, path)
	if err != nil {
		s.unsynced.set(filepath.Dir(path), true) // it may be renamed nevertheless
	}
	return err
}

// checkOccupied returns nil if path is a link to the data file, and ErrKeyTaken if it is
// another file. A directory there gives a transient error: it may disappear with its
// contents.
func (s *Store) checkOccupied(data, path string) error {
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

// removeData removes the data file of an upload that has its final file, and the other name
// of a copy.
func (s *Store) removeData(up storage.Upload, file string) error {
	dir := filepath.Dir(s.filePath(up.Record))
	if err := s.syncDir(dir); err != nil {
		return err
	}
	if file != s.dataPath(up.ID) {
		if err := errors.Join(s.removeAll(file), s.syncDir(dir)); err != nil {
			return err
		}
	}
	return s.removeAll(s.dataPath(up.ID))
}

// makeDirs creates the directories in the upload's key, durably.
func (s *Store) makeDirs(rec storage.Record) error {
	dir := s.dir
	parents := strings.Split(rec.Key, "/")
	for _, name := range parents[:len(parents)-1] {
		err := s.makeKeyDir(filepath.Join(dir, name))
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
		return nil, s.confirmAbsent(fmt.Errorf("open %s: %w: its file is missing", up.ID, storage.ErrGone))
	}
	if err != nil {
		return nil, mapError("open", up.ID, err)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, mapError("open", up.ID, errors.Join(err, f.Close()))
	}
	return f, nil
}
