package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync calls fdatasync, which unlike fsync does not write the timestamps.
func datasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
