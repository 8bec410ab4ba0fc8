package disk

import (
	"io/fs"
	"syscall"
	"time"
)

// memInfo is a fs.FileInfo.
type memInfo struct {
	node    *node
	name    string
	size    int64
	modTime time.Time
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) ModTime() time.Time { return i.modTime }
func (i memInfo) IsDir() bool        { return i.node.isDir() }
func (i memInfo) Sys() any           { return i.node }
func (i memInfo) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o750
	}
	return 0o640
}

func (m *memFS) Lstat(path string) (fs.FileInfo, error) { return m.Stat(path) }

func (m *memFS) Stat(path string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, name, n, err := m.find(path)
	if err == nil && n == nil {
		err = syscall.ENOENT
	}
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return memInfo{n, name, n.now.size, n.modTime}, nil
}

func (m *memFS) SameFile(a, b fs.FileInfo) bool { return a.Sys() == b.Sys() }
