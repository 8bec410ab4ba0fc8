package disk

import (
	"errors"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// memFS is a file system in memory that tracks what would be left of each file and directory
// after a power loss. Only what was synced is certain: syncing a file does not make its name
// durable, and syncing a directory does not make the contents of its files durable, or the
// names in another directory. Any prefix of the changes to the names in a directory may
// survive, too.
type memFS struct {
	mu     sync.Mutex
	root   *node
	locked map[*node]bool
	events []event // of directories, since their last sync
	moment int
	read   int64 // bytes read of files
	idle   bool  // the current sync has nothing to do

	// ordered is set for a file system that makes all changes to names durable in the order
	// in which they came, and a rename from one directory to another in one step.
	ordered bool
	// changed is called, if set, after each change and each sync.
	changed func(op string)
	// fault is called, if set, before each change and each sync; see verdict.
	fault func(op, path string) verdict
}

// verdict is the result of a change or a sync.
type verdict struct {
	err   error
	done  bool // it takes effect nevertheless
	drops bool // a sync drops what it was to write
}

// node is a file or a directory.
type node struct {
	now, synced        content                   // of a file; synced is replaced, not modified
	dropped            map[int64]*[blockLen]byte // by a sync that failed; see memFile.Sync
	names, syncedNames map[string]*node          // of a directory, nil for a file
	modTime            time.Time
}

func (n *node) isDir() bool { return n.names != nil }

func newDir() *node { return &node{names: map[string]*node{}, syncedNames: map[string]*node{}} }

// event is a change to the names in a directory.
type event struct {
	moment int // equal for both directories of a rename
	dir    *node
	names  map[string]*node // after it
}

// renamed records that names in some directories have changed.
func (m *memFS) renamed(dirs ...*node) {
	m.moment++
	for _, dir := range dirs {
		m.events = append(m.events, event{m.moment, dir, maps.Clone(dir.names)})
	}
}

// newMemFS returns a file system with the given directories, all durable.
func newMemFS(dirs ...string) *memFS {
	m := &memFS{root: newDir(), locked: map[*node]bool{}}
	for _, dir := range dirs {
		at := m.root
		for _, name := range split(dir) {
			if at.names[name] == nil {
				at.names[name] = newDir()
				at.syncedNames[name] = at.names[name]
			}
			at = at.names[name]
		}
	}
	return m
}

func split(path string) []string {
	return slices.DeleteFunc(strings.Split(filepath.Clean(path), "/"), func(s string) bool { return s == "" })
}

// find returns the node with a path, the directory that contains it, and its name there.
func (m *memFS) find(path string) (dir *node, name string, n *node, err error) {
	n = m.root
	for _, name = range split(path) {
		if n == nil {
			return nil, "", nil, syscall.ENOENT
		}
		if !n.isDir() {
			return nil, "", nil, syscall.ENOTDIR
		}
		dir, n = n, n.names[name]
	}
	return dir, name, n, nil
}

// change performs one change or sync, unless it is to fail.
func (m *memFS) change(op, path string, do func() error) error {
	return m.changeOr(op, path, do, func() {})
}

// changeOr is change with a function to call on failure.
func (m *memFS) changeOr(op, path string, do func() error, failed func()) error {
	var v verdict
	if m.fault != nil {
		v = m.fault(op, path)
	}
	err := v.err
	m.mu.Lock()
	m.idle = false
	if v.err == nil || v.done {
		if doErr := do(); doErr != nil {
			err = doErr
		}
	} else if v.drops {
		failed()
	}
	idle := m.idle
	m.mu.Unlock()
	if m.changed != nil && !idle {
		m.changed(op)
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	return nil
}

func (m *memFS) Open(path string) (io.ReadSeekCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _, n, err := m.find(path)
	if err == nil && n == nil {
		err = syscall.ENOENT
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &memFile{fs: m, node: n, path: path}, nil
}

func (m *memFS) OpenFile(path string, flag int) (writableFile, error) {
	f := &memFile{fs: m, path: path}
	open := func() error {
		dir, name, n, err := m.find(path)
		switch {
		case err != nil:
			return err
		case n == nil && flag&os.O_CREATE == 0:
			return syscall.ENOENT
		case n == nil:
			n = &node{modTime: time.Now()}
			dir.names[name] = n
			m.renamed(dir)
		case n.isDir():
			return syscall.EISDIR
		case flag&os.O_EXCL != 0:
			return syscall.EEXIST
		}
		if flag&os.O_TRUNC != 0 {
			n.now.truncate(0)
		}
		f.node = n
		return nil
	}
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 {
		if err := m.change("create", path, open); err != nil {
			return nil, err
		}
		return f, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := open(); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return f, nil
}

type memLock struct {
	fs   *memFS
	node *node
}

func (l memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locked, l.node)
	return nil
}

func (m *memFS) Lock(path string) (io.Closer, error) {
	f, err := m.OpenFile(path, os.O_CREATE)
	if err != nil && !errors.Is(err, syscall.EISDIR) {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _, n, findErr := m.find(path)
	if err == nil {
		n = f.(*memFile).node
	} else if findErr != nil {
		return nil, findErr
	}
	if m.locked[n] {
		return nil, syscall.EWOULDBLOCK
	}
	m.locked[n] = true
	return memLock{m, n}, nil
}

func (m *memFS) Names(dir string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		m.mu.Lock()
		_, _, n, err := m.find(dir)
		var all []string
		if err == nil && n != nil {
			all = slices.Sorted(maps.Keys(n.names))
		}
		m.mu.Unlock()
		if n == nil {
			yield("", &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOENT})
			return
		}
		for _, name := range all {
			if !yield(name, nil) {
				return
			}
		}
	}
}

func (m *memFS) Mkdir(path string) error {
	return m.change("mkdir", path, func() error {
		dir, name, n, err := m.find(path)
		if err == nil && n != nil {
			err = syscall.EEXIST
		}
		if err == nil {
			dir.names[name] = newDir()
			m.renamed(dir)
		}
		return err
	})
}

// Chmod does nothing: the files have no permissions.
func (m *memFS) Chmod(string, fs.FileMode) error { return nil }

func (m *memFS) Link(old, name string) error {
	return m.change("link", name, func() error {
		_, _, n, err := m.find(old)
		if err == nil && n == nil {
			err = syscall.ENOENT
		}
		if err != nil {
			return err
		}
		dir, base, there, err := m.find(name)
		if err == nil && there != nil {
			err = syscall.EEXIST
		}
		if err == nil {
			dir.names[base] = n
			m.renamed(dir)
		}
		return err
	})
}

func (m *memFS) Rename(old, name string) error {
	return m.change("rename", name, func() error {
		from, fromName, n, err := m.find(old)
		if err == nil && n == nil {
			err = syscall.ENOENT
		}
		if err != nil {
			return err
		}
		to, toName, there, err := m.find(name)
		if err == nil && there != nil && there.isDir() {
			err = syscall.EISDIR
		}
		if err != nil || there == n {
			return err
		}
		delete(from.names, fromName)
		to.names[toName] = n
		m.renamed(from, to)
		return nil
	})
}

func (m *memFS) Remove(path string) error {
	return m.change("remove", path, func() error {
		dir, name, n, err := m.find(path)
		switch {
		case err != nil:
			return err
		case n == nil:
			return syscall.ENOENT
		case n.isDir() && len(n.names) > 0:
			return syscall.ENOTEMPTY
		}
		delete(dir.names, name)
		m.renamed(dir)
		return nil
	})
}

func (m *memFS) SyncDir(path string) error {
	return m.change("sync directory", path, func() error {
		_, _, n, err := m.find(path)
		if err != nil {
			return err
		}
		if n == nil {
			return syscall.ENOENT
		}
		before := len(m.events)
		n.syncedNames = maps.Clone(n.names)
		m.events = slices.DeleteFunc(m.events, func(e event) bool {
			if m.ordered {
				e.dir.syncedNames = e.names
			}
			return m.ordered || e.dir == n
		})
		m.idle = len(m.events) == before
		return nil
	})
}
