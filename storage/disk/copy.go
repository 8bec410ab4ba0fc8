package disk

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/holdfast-upload/holdfast/storage"
)

// A key that the application chooses may lead to another file system, to which a file cannot
// be linked: then the data file is copied to a file beside the final one, which is linked. A
// line in the journal says before that that this may have happened:
//
//	copied 1a2b3c4d
//
// After it, a file with the final name and the same bytes as the data file is the upload's.

func copiedLine() []byte { return withChecksum([]byte("copied")) }

// copyPath is where the copy of a data file is made.
func (s *Store) copyPath(rec storage.Record) string {
	return filepath.Join(filepath.Dir(s.filePath(rec)), "."+rec.ID+".copy")
}

// copyData copies the data file of a complete upload, durably, to the directory of the final
// file. It takes as long as copying takes, and so is called without the id lock.
func (s *Store) copyData(up storage.Upload) error {
	path := s.copyPath(up.Record)
	err := s.copyFile(s.dataPath(up.ID), path)
	if err == nil {
		err = s.setMode(path)
	}
	return mapError("copy the file of", up.ID, err)
}

func (s *Store) copyFile(from, to string) error {
	source, err := s.fs.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := s.fs.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
	if err != nil {
		return err
	}
	block := blocks.Get().(*[blockSize]byte)
	defer blocks.Put(block)
	_, err = io.CopyBuffer(struct{ io.Writer }{io.NewOffsetWriter(target, 0)}, struct{ io.Reader }{source}, block[:])
	if err == nil {
		err = s.sync(target)
	}
	return errors.Join(err, target.Close())
}

// finishByCopy finishes a complete upload whose file is to be on another file system.
func (s *Store) finishByCopy(up storage.Upload) (storage.Upload, error) {
	err := s.copyData(up)
	if err == nil {
		up, err = s.finish(up, s.copyPath(up.Record))
	}
	if err != nil {
		err = errors.Join(err, mapError("remove the copy of", up.ID, s.removeAll(s.copyPath(up.Record))))
	}
	return up, err
}

// recordCopy records in the journal that the final file may be a copy. The caller holds the
// id lock.
func (s *Store) recordCopy(id string) error {
	u, err := s.acquireLocked(id)
	if err != nil {
		return err
	}
	defer s.releaseLocked(u)
	u.commitMu.Lock()
	defer u.commitMu.Unlock()
	if u.copied {
		return nil
	}
	if err := u.append(copiedLine()); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.copied = true
	return nil
}

// isCopy reports whether the final file of an upload that has a data file of the same size is
// a copy of that. The caller holds the id lock.
func (s *Store) isCopy(up storage.Upload, size int64) (bool, error) {
	j, err := s.journalAt(up.ID, s.livePath(up.ID))
	if errors.Is(err, storage.ErrNotFound) || err == nil && !j.copied {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return s.sameBytes(s.dataPath(up.ID), s.filePath(up.Record), size)
}

// sameBytes reports whether two files of a size have the same bytes.
func (s *Store) sameBytes(path, other string, size int64) (bool, error) {
	a, err := s.fs.Open(path)
	if err != nil {
		return false, err
	}
	defer a.Close()
	b, err := s.fs.Open(other)
	if err != nil {
		return false, err
	}
	defer b.Close()
	blockA, blockB := blocks.Get().(*[blockSize]byte), blocks.Get().(*[blockSize]byte)
	defer blocks.Put(blockA)
	defer blocks.Put(blockB)
	for left := size; left > 0; left -= blockSize {
		n := min(left, blockSize)
		_, errA := io.ReadFull(a, blockA[:n])
		_, errB := io.ReadFull(b, blockB[:n])
		if err := errors.Join(errA, errB); err != nil || !bytes.Equal(blockA[:n], blockB[:n]) {
			return false, err
		}
	}
	return true, nil
}
