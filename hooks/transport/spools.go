package transport

import (
	"fmt"
	"sync"

	"github.com/holdfast-upload/holdfast/storage"
)

// Blocks is a bounded pool of memory in blocks of one size. It may be used concurrently.
type Blocks interface {
	// Get returns a block, nil if all are in use.
	Get() []byte
	// Put returns blocks to the pool.
	Put(blocks [][]byte)
	// Usage returns how many bytes are in use, and how many may be.
	Usage() (used, limit int64)
}

// Spools bounds what all Spools of a server use together. Create it with NewSpools; nil
// bounds nothing.
type Spools struct {
	memory Blocks

	mu   sync.Mutex
	disk int64 // bytes of temporary files at most
	used int64 // bytes of temporary files
}

// NewSpools returns bounds for Spools: they take memory from a pool that others may share,
// and have temporary files of at most disk bytes in all.
func NewSpools(memory Blocks, disk int64) *Spools { return &Spools{memory: memory, disk: disk} }

// Memory returns how many bytes of the pool are in use, by others too, and how many may be;
// both are 0 without bounds.
func (s *Spools) Memory() (used, limit int64) {
	if s == nil {
		return 0, 0
	}
	return s.memory.Usage()
}

// New returns an empty Spool. Close it after use.
func (s *Spools) New() *Spool { return &Spool{from: s} }

func (s *Spools) get() []byte {
	if s == nil {
		return make([]byte, blockSize)
	}
	return s.memory.Get()
}

func (s *Spools) put(blocks [][]byte) {
	if s != nil && len(blocks) > 0 {
		s.memory.Put(blocks)
	}
}

// reserve takes n bytes of temporary files for a spool that has held bytes of them. It
// returns storage.ErrTooLarge if the spool alone exceeds the bound, and storage.ErrNoSpace
// if all spools do.
func (s *Spools) reserve(n, held int64) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case held+n > s.disk:
		return fmt.Errorf("%w to be verified: at most %d bytes can be buffered", storage.ErrTooLarge, s.disk)
	case s.used+n > s.disk:
		return fmt.Errorf("buffer a body: %w: all bodies have %d bytes of temporary files", storage.ErrNoSpace, s.used)
	}
	s.used += n
	return nil
}

func (s *Spools) release(n int64) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= n
}

// blockSize is the size of the blocks of NewBlocks, in bytes.
const blockSize = 256 << 10

// NewBlocks returns a pool of up to n bytes, for a server whose store has none to share.
func NewBlocks(n int64) Blocks { return &heapBlocks{blocks: n / blockSize, left: n / blockSize} }

type heapBlocks struct {
	blocks int64 // in all

	mu   sync.Mutex
	left int64
}

func (b *heapBlocks) Usage() (used, limit int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return (b.blocks - b.left) * blockSize, b.blocks * blockSize
}

func (b *heapBlocks) Get() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left == 0 {
		return nil
	}
	b.left--
	return make([]byte, blockSize)
}

func (b *heapBlocks) Put(blocks [][]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += int64(len(blocks))
}
