package disk

import (
	"errors"
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

// startWriteback calls sync_file_range, where the file system has it.
func startWriteback(f *os.File, offset, length int64) error {
	err := unix.SyncFileRange(int(f.Fd()), offset, length, unix.SYNC_FILE_RANGE_WRITE)
	if errors.Is(err, errors.ErrUnsupported) || err == unix.EINVAL || err == unix.ESPIPE || err == unix.EINTR {
		return nil
	}
	return os.NewSyscallError("sync_file_range", err)
}
