package disk

import (
	"io"
	"io/fs"
	"iter"
)

// fileSystem is what the store asks of the file system below it. Errors are those of
// package os. A change of a file survives a power loss once the file was synced, and a
// change of a name once its directory was.
type fileSystem interface {
	// Open opens a file for reading.
	Open(path string) (io.ReadSeekCloser, error)
	// OpenFile opens a file for writing; flag is that of os.OpenFile.
	OpenFile(path string, flag int) (writableFile, error)
	// Lock opens a file, which it creates if there is none, and holds the lock of it
	// until it is closed. It fails if another process holds that.
	Lock(path string) (io.Closer, error)
	// Names yields the names in a directory, without reading all of them at once.
	Names(dir string) iter.Seq2[string, error]
	Mkdir(path string) error
	Link(old, name string) error
	Rename(old, name string) error
	Remove(path string) error
	Stat(path string) (fs.FileInfo, error)
	Lstat(path string) (fs.FileInfo, error)
	// SameFile reports whether two results of Stat or Lstat are of one file.
	SameFile(a, b fs.FileInfo) bool
	// SyncDir makes the names in a directory durable.
	SyncDir(path string) error
}

// writableFile is a file that is open for writing.
type writableFile interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync makes what the file holds durable, size included, but not its name.
	Sync() error
}
