package transport

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
)

// All bodies that are buffered share the memory, and the space of temporary files.
func TestSpoolsAreBoundedTogether(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	blocks := NewBlocks(4 * blockSize)
	all := NewSpools(blocks, 3<<20)
	fill := func(n int) (*Spool, error) {
		s := all.New()
		err := s.Fill(bytes.NewReader(make([]byte, n)))
		if err != nil {
			err = errors.Join(err, s.Close())
		}
		return s, err
	}
	first, err := fill(2 << 20)
	if err != nil || len(first.blocks) != 4 || first.onDisk != 2<<20-4*blockSize-spoolSmall {
		t.Fatalf("the first has %d blocks and %d bytes in a file, %v", len(first.blocks), first.onDisk, err)
	}
	second, err := fill(1 << 20)
	if err != nil || len(second.blocks) != 0 || second.onDisk != 1<<20-spoolSmall {
		t.Errorf("the second has %d blocks and %d bytes in a file, %v", len(second.blocks), second.onDisk, err)
	}
	if small, err := fill(spoolSmall); err != nil || small.onDisk > 0 {
		t.Errorf("a small one has %d bytes in a file, %v", small.onDisk, err)
	}
	if _, err := fill(2 << 20); !errors.Is(err, storage.ErrNoSpace) || !storage.Transient(err) {
		t.Errorf("without space: %v", err)
	}
	for _, s := range []*Spool{first, second} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := fill(5 << 20); !errors.Is(err, storage.ErrTooLarge) || storage.Transient(err) {
		t.Errorf("more than there is for all: %v", err)
	}
	if again, err := fill(2 << 20); err != nil || len(again.blocks) != 4 {
		t.Errorf("once there is space again: %d blocks, %v", len(again.blocks), err)
	}
	if names, err := os.ReadDir(os.TempDir()); err != nil || len(names) > 0 {
		t.Errorf("files: %v, %v", names, err)
	}
}
