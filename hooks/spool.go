package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/holdfast-upload/holdfast/storage"
)

// spoolMemory is how much of a body a Spool holds in memory.
const spoolMemory = 1 << 20

// Spool holds a body that may not count before all of it has been seen. What is
// more than a mebibyte goes to a temporary file, which has no name and so goes
// with the process. Close it after use.
type Spool struct {
	memory bytes.Buffer
	file   *os.File // nil until memory is full
	size   int64
}

// Fill reads src to its end. It returns src's error, or the store's kind of error
// if there is no room; io.EOF is none.
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
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("keep a body: %w: %w", storage.ErrNoSpace, err)
	}
	return storage.Unavailable("keep", "a body", err)
}

// Size is the number of bytes in the spool.
func (s *Spool) Size() int64 { return s.size }

// Reader reads what was spooled, once.
func (s *Spool) Reader() (io.Reader, error) {
	if s.file == nil {
		return &s.memory, nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, spoolError(err)
	}
	return io.MultiReader(&s.memory, s.file), nil
}

// Hash writes what was spooled to h, and leaves it there to be read.
func (s *Spool) Hash(h io.Writer) error {
	_, _ = h.Write(s.memory.Bytes()) // a hash never fails
	if s.file == nil {
		return nil
	}
	_, err := io.Copy(h, io.NewSectionReader(s.file, 0, s.size))
	return spoolError(err)
}

// Close gives the room back.
func (s *Spool) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
