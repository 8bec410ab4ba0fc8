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

const (
	// spoolMemory is how many bytes of a body a Spool holds in memory.
	spoolMemory = 1 << 20
	// spoolSmall is how many of them it holds without a block of the pool: many small bodies
	// must not take a block each.
	spoolSmall = 32 << 10
)

// Spool buffers a body that must be complete before it is used. Bytes beyond the first
// mebibyte, or beyond the memory that Spools has left, go to a temporary file, which is
// unlinked so that it does not outlive the process. The zero Spool has no bounds. Close it
// after use.
type Spool struct {
	from   *Spools
	small  bytes.Buffer
	blocks [][]byte // all but the last are full
	last   int      // bytes in the last block
	file   *os.File // nil until memory is full
	onDisk int64
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
	for len(p) > 0 && s.file == nil {
		n := s.store(p)
		if p = p[n:]; n > 0 {
			continue
		}
		if err := s.openFile(); err != nil {
			return spoolError(err)
		}
	}
	if len(p) == 0 {
		return nil
	}
	if err := s.from.reserve(int64(len(p)), s.onDisk); err != nil {
		return err
	}
	s.onDisk += int64(len(p))
	_, err := s.file.Write(p)
	return spoolError(err)
}

// store stores the beginning of p in memory, and returns its length, 0 if memory is full.
func (s *Spool) store(p []byte) int {
	if room := spoolSmall - s.small.Len(); room > 0 {
		n, _ := s.small.Write(p[:min(len(p), room)]) // never fails
		return n
	}
	if len(s.blocks) == 0 || s.last == len(s.blocks[len(s.blocks)-1]) {
		if len(s.blocks) > 0 && len(s.blocks)*s.last >= spoolMemory {
			return 0
		}
		block := s.from.get()
		if block == nil {
			return 0
		}
		s.blocks, s.last = append(s.blocks, block), 0
	}
	n := copy(s.blocks[len(s.blocks)-1][s.last:], p)
	s.last += n
	return n
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
	parts := []io.Reader{&s.small}
	for i := range s.blocks {
		parts = append(parts, bytes.NewReader(s.block(i)))
	}
	if s.file == nil {
		return io.MultiReader(parts...), nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, spoolError(err)
	}
	return io.MultiReader(append(parts, s.file)...), nil
}

// block returns the bytes in a block.
func (s *Spool) block(i int) []byte {
	if i == len(s.blocks)-1 {
		return s.blocks[i][:s.last]
	}
	return s.blocks[i]
}

// Hash writes the spooled bytes to h. It does not consume them.
func (s *Spool) Hash(h io.Writer) error {
	_, _ = h.Write(s.small.Bytes()) // a hash never fails
	for i := range s.blocks {
		_, _ = h.Write(s.block(i))
	}
	if s.file == nil {
		return nil
	}
	_, err := io.Copy(h, io.NewSectionReader(s.file, 0, s.size))
	return spoolError(err)
}

// Close returns the memory, and removes the temporary file.
func (s *Spool) Close() error {
	s.from.put(s.blocks)
	s.from.release(s.onDisk)
	file := s.file
	*s = Spool{from: s.from}
	if file == nil {
		return nil
	}
	return file.Close()
}
