package disk

import (
	"os"
	"strings"
	"syscall"
)

// mounts is a file system of which each directory below memDir, but that of the store, is
// another one: no file can be linked or renamed into it, or out of it.
type mounts struct{ fileSystem }

func mountOf(path string) string {
	top, _, below := strings.Cut(strings.TrimPrefix(path, memDir+"/"), "/")
	if !below || top == ".holdfast" {
		return ""
	}
	return top
}

func (m mounts) Link(old, name string) error {
	if mountOf(old) == mountOf(name) {
		return m.fileSystem.Link(old, name)
	}
	if _, err := m.Lstat(name); err == nil {
		return &os.LinkError{Op: "link", Old: old, New: name, Err: syscall.EEXIST}
	}
	return &os.LinkError{Op: "link", Old: old, New: name, Err: syscall.EXDEV}
}

func (m mounts) Rename(old, name string) error {
	if mountOf(old) == mountOf(name) {
		return m.fileSystem.Rename(old, name)
	}
	return &os.LinkError{Op: "rename", Old: old, New: name, Err: syscall.EXDEV}
}
