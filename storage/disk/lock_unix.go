//go:build !windows

package disk

import (
	"errors"
	"os"
	"syscall"
)

// lockFile locks a file or directory until it is closed. It fails with EWOULDBLOCK if
// another process holds the lock.
func lockFile(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
