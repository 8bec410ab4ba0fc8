package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"syscall"
)

// osFileSystem is the file system of the operating system.
type osFileSystem struct{}

func (osFileSystem) Open(path string) (io.ReadSeekCloser, error) { return os.Open(path) }

func (osFileSystem) OpenFile(path string, flag int) (writableFile, error) {
	f, err := os.OpenFile(path, flag, 0o640)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFileSystem) Lock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640)
	if errors.Is(err, syscall.EISDIR) {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (osFileSystem) Names(dir string) iter.Seq2[string, error] { return names(dir) }

func (osFileSystem) Mkdir(path string) error                   { return os.Mkdir(path, 0o750) }
func (osFileSystem) Chmod(path string, mode fs.FileMode) error { return os.Chmod(path, mode) }
func (osFileSystem) Link(old, name string) error               { return os.Link(old, name) }
func (osFileSystem) Rename(old, name string) error             { return os.Rename(old, name) }
func (osFileSystem) Remove(path string) error                  { return os.Remove(path) }
func (osFileSystem) Stat(path string) (fs.FileInfo, error)     { return os.Stat(path) }
func (osFileSystem) Lstat(path string) (fs.FileInfo, error)    { return os.Lstat(path) }
func (osFileSystem) SameFile(a, b fs.FileInfo) bool            { return os.SameFile(a, b) }

// SyncDir calls fsync. Whether the disk honors that is beyond it.
func (osFileSystem) SyncDir(path string) error { return syncDir(path) }

// osFile does not sync the timestamps of the file.
type osFile struct{ *os.File }

func (f osFile) Sync() error { return datasync(f.File) }

func (f osFile) StartWriteback(offset, length int64) error {
	return startWriteback(f.File, offset, length)
}

func names(dir string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		d, err := os.Open(filepath.Clean(dir))
		if err != nil {
			yield("", fmt.Errorf("list %s: %w", dir, err))
			return
		}
		defer d.Close()
		for {
			entries, err := d.ReadDir(1000)
			for _, e := range entries {
				if !yield(e.Name(), nil) {
					return
				}
			}
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, fs.ErrNotExist) {
					yield("", err)
				}
				return
			}
		}
	}
}
