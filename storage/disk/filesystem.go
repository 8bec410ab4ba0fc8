package disk

import (
	"io"
	"io/fs"
	"iter"
)

// fileSystem is the file system that the store uses. Errors are those of package os. A
// change to a file survives a power loss once the file was synced, and a change of a name
// once its directory was.
type fileSystem interface {
	// Open opens a file for reading.
	Open(path string) (io.ReadSeekCloser, error)
	// OpenFile opens a file for writing, with flags of os.OpenFile.
	OpenFile(path string, flag int) (writableFile, error)
	// Lock opens a file, creating it if necessary, or a directory, and holds its lock until
	// it is closed. It fails if another process holds the lock.
	Lock(path string) (io.Closer, error)
	// Names yields the names in a directory, reading them in batches.
	Names(dir string) iter.Seq2[string, error]
	Mkdir(path string) error
	Chmod(path string, mode fs.FileMode) error
	Link(old, name string) error
	Rename(old, name string) error
	Remove(path string) error
	Stat(path string) (fs.FileInfo, error)
	Lstat(path string) (fs.FileInfo, error)
	// SameFile reports whether two results of Stat or Lstat describe the same file.
	SameFile(a, b fs.FileInfo) bool
	// SyncDir makes the names in a directory durable.
	SyncDir(path string) error
}

// writableFile is a file open for writing.
type writableFile interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync makes the content and size of the file durable, but not its name.
	Sync() error
	// StartWriteback has the system begin to write a range of the file to the disk, so that
	// a later Sync takes less time. It makes nothing durable. If it fails, what was written
	// since the last Sync may be lost without a failure of the next one.
	StartWriteback(offset, length int64) error
}
