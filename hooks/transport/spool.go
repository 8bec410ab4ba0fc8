package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/holdfast-upload/holdfast/storage"
)

// spoolMemory is how many bytes of a body a Spool holds in memory.
const spoolMemory = 1 << 20

// Spool buffers a body that must be complete before it is used. Bytes beyond the first
// mebibyte go to a temporary file, which is unlinked so that it does not outlive the
// process. Close it after use.
type Spool struct {
	memory bytes.Buffer
	file   *os.File // nil until memory is full
	size   int64
}

// Fill reads src until io.EOF. It returns src's error, or storage.ErrNoSpace or
// storage.ErrUnavailable if the temporary file cannot be written.
func (s *Spool) Fill(src io.Reader) error {
	block := make([]byte, 64<<10)
	for {
		n, err := src.Read(block)
		if writeErr := s.write(block[:n]); writeErr != nil {
			return writeErr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *Spool) write(p []byte) error {
	s.size += int64(len(p))
	if s.file == nil && s.size <= spoolMemory {
		s.memory.Write(p)
		return nil
	}
	if s.file == nil {
		if err := s.openFile(); err != nil {
			return spoolError(err)
		}
	}
	_, err := s.file.Write(p)
	return spoolError(err)
}

func (s *Spool) openFile() error {
	f, err := os.CreateTemp("", "holdfast-*")
	if err != nil {
		return err
	}
	s.file = f
	return os.Remove(f.Name())
}

func spoolError(err error) error {
	if errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w to be verified", storage.ErrTooLarge)
	}
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("buffer a body: %w: %w", storage.ErrNoSpace, err)
	}
	return storage.Unavailable("buffer", "a body", err)
}

// Size is the number of bytes in the spool.
func (s *Spool) Size() int64 { return s.size }

// Reader returns the spooled bytes, which can be read once.
func (s *Spool) Reader() (io.Reader, error) {
	if s.file == nil {
		return &s.memory, nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, spoolError(err)
	}
	return io.MultiReader(&s.memory, s.file), nil
}

// Hash writes the spooled bytes to h. It does not consume them.
func (s *Spool) Hash(h io.Writer) error {
	_, _ = h.Write(s.memory.Bytes()) // a hash never fails
	if s.file == nil {
		return nil
	}
	_, err := io.Copy(h, io.NewSectionReader(s.file, 0, s.size))
	return spoolError(err)
}

// Close removes the temporary file.
func (s *Spool) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
