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

	"github.com/holdfast-upload/holdfast/storage"
)

// Finish implements storage.Store. All bytes are durable already, since the
// journal says that they are there; what remains is to give the file its name.
func (s *Store) Finish(_ context.Context, up storage.Upload) error {
	guard := s.guard(up.ID)
	guard.Lock()
	defer guard.Unlock()
	now, err := s.load(up.ID)
	if err != nil {
		return err
	}
	if !now.Complete() {
		return fmt.Errorf("finish %s: %w", up.ID, storage.ErrIncomplete)
	}
	if now.Finished {
		return nil
	}
	return classify("finish", up.ID, s.nameFile(now))
}

// Retire implements storage.Store: it takes the journal to where those of finished
// uploads lie. A Partial one stays listed, for it still has to expire.
func (s *Store) Retire(_ context.Context, up storage.Upload) error {
	guard := s.guard(up.ID)
	guard.Lock()
	defer guard.Unlock()
	if up.Partial {
		return nil
	}
	err := os.Rename(s.livePath(up.ID), s.donePath(up.ID))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		s.unclaim(up.Record)
		err = removeAll(s.parkedPath(up.ID))
	}
	return classify("retire", up.ID, err)
}

// Park implements storage.Store.
func (s *Store) Park(_ context.Context, up storage.Upload) error {
	guard := s.guard(up.ID)
	guard.Lock()
	defer guard.Unlock()
	if owed, err := exists(s.livePath(up.ID)); err != nil || !owed {
		return classify("park", up.ID, err)
	}
	if err := s.writeFile(s.parkedPath(up.ID), nil); err != nil {
		return classify("park", up.ID, err)
	}
	return classify("park", up.ID, s.syncDir(s.own("live")))
}

func (s *Store) nameFile(up storage.Upload) error {
	data := s.dataPath(up.ID)
	info, err := os.Stat(data)
	if err != nil {
		return err
	}
	if info.Size() > up.Size {
		// Bytes that were on their way while a smaller size was declared.
		if err := os.Truncate(data, up.Size); err != nil {
			return err
		}
	} else if info.Size() < up.Size {
		return fmt.Errorf("the data file has %d bytes, the upload %d", info.Size(), up.Size)
	}
	if err := s.makeDirs(up.Record); err != nil {
		return err
	}
	path := s.filePath(up.Record)
	if err := os.Rename(data, path); err != nil {
		return err
	}
	return s.syncDir(filepath.Dir(path))
}

// makeDirs makes the directories that a key asks for, and their names durable.
func (s *Store) makeDirs(rec storage.Record) error {
	dir := s.dir
	parents := strings.Split(rec.Key, "/")
	for _, name := range parents[:len(parents)-1] {
		err := os.Mkdir(filepath.Join(dir, name), 0o750)
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
	f, err := os.Open(s.filePath(up.Record))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open %s: %w: its file is missing", up.ID, storage.ErrGone)
	}
	if err != nil {
		return nil, classify("open", up.ID, err)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, classify("open", up.ID, errors.Join(err, f.Close()))
	}
	return f, nil
}
