package s3

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// blockSize is the unit of allocation, in bytes.
const blockSize = 256 << 10

// arenaBlocks is the number of blocks that one arena holds. The system commits its memory
// on first use.
const arenaBlocks = 64

// scratchSize is the read size of a buffer that spills to a file, in bytes.
const scratchSize = 32 << 10

// memoryPool limits the memory that the buffers of all uploads use. What does not fit
// goes to temporary files. Returned blocks are reused.
type memoryPool struct {
	mu    sync.Mutex
	left  int    // blocks that may still be allocated
	made  int    // blocks allocated
	arena []byte // unallocated rest of the current arena
	free  [][]byte

	spilled atomic.Int64 // bytes written to temporary files

	reclaim func() bool // releases cached blocks, and reports whether there were any; may be nil
}

func newMemoryPool(bytes int64) *memoryPool { return &memoryPool{left: int(bytes / blockSize)} }

// Get returns a block, or nil if the limit is reached.
func (b *memoryPool) Get() []byte {
	for {
		if block := b.tryGet(); block != nil {
			return block
		}
		if b.reclaim == nil || !b.reclaim() {
			return nil
		}
	}
}

func (b *memoryPool) tryGet() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		block := b.free[n-1]
		b.free = b.free[:n-1]
		return block
	}
	if b.left == 0 {
		return nil
	}
	if len(b.arena) == 0 {
		b.arena = newArena(b, min(b.left, arenaBlocks)*blockSize)
	}
	block := b.arena[:blockSize:blockSize]
	b.arena = b.arena[blockSize:]
	b.left--
	b.made++
	return block
}

// used returns the number of bytes in blocks that are in use.
func (b *memoryPool) used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(b.made-len(b.free)) * blockSize
}

// Put returns blocks to the pool.
func (b *memoryPool) Put(blocks [][]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, blocks...)
}

// buffer holds consecutive bytes of an upload, in memory as far as the pool allows and
// beyond that in an unlinked temporary file. Their checksum is computed as they are
// read. Callers must release it after use.
type buffer struct {
	budget *memoryPool

	mu      sync.Mutex // guards writes to the fields below; the goroutine that fills the buffer reads them without it
	blocks  [][]byte
	inMem   int64 // bytes in blocks
	file    *os.File
	scratch []byte
	size    int64
	sum     crc32c.Sum
}

// fill reads from src until the buffer has size bytes or src ends. It fails only with
// ErrNoSpace; an error of src counts as its end.
func (b *buffer) fill(src io.Reader, size int64) (ended bool, err error) {
	for b.size < size {
		room, err := b.room()
		if err != nil {
			return false, err
		}
		room = room[:min(int64(len(room)), size-b.size)]
		n, readErr := src.Read(room)
		if err := b.accept(room[:n]); err != nil {
			return false, err
		}
		if readErr != nil {
			return true, nil
		}
	}
	return false, nil
}

// room returns the slice to read the next bytes into.
func (b *buffer) room() ([]byte, error) {
	if b.file != nil {
		return b.scratch, nil
	}
	if at := int(b.inMem / blockSize); at < len(b.blocks) { // the last block may be empty: a source may end before it fills any of it
		return b.blocks[at][b.inMem%blockSize:], nil
	}
	if block := b.budget.Get(); block != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.blocks = append(b.blocks, block)
		return block, nil
	}
	if err := b.openFile(); err != nil {
		return nil, noRoom(err)
	}
	return b.scratch, nil
}

// accept appends bytes that were read into room.
func (b *buffer) accept(p []byte) error {
	b.sum = b.sum.Append(p)
	if b.file != nil {
		b.budget.spilled.Add(int64(len(p)))
		if _, err := b.file.Write(p); err != nil {
			return noRoom(err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.size += int64(len(p))
	if b.file == nil {
		b.inMem += int64(len(p))
	}
	return nil
}

// snapshot returns a view of what the buffer holds now, for another goroutine to read
// while the buffer is filled further. It is valid until the buffer is released.
func (b *buffer) snapshot() *buffer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &buffer{budget: b.budget, blocks: b.blocks, inMem: b.inMem, file: b.file, size: b.size}
}

func (b *buffer) openFile() error {
	f, err := os.CreateTemp("", "holdfast-*")
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.file, b.scratch = f, make([]byte, scratchSize)
	b.mu.Unlock()
	return os.Remove(f.Name())
}

func noRoom(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("buffer a part: %w: %w", storage.ErrNoSpace, err)
}

// release returns the memory to the pool and empties the buffer.
func (b *buffer) release() {
	b.budget.Put(b.blocks)
	if b.file != nil {
		_ = b.file.Close() // already unlinked; its content is not needed any more
	}
	*b = buffer{budget: b.budget}
}

// reader returns a reader of the whole buffer. Several may be used concurrently.
func (b *buffer) reader() *bufferReader { return &bufferReader{b: b} }

type bufferReader struct {
	b  *buffer
	at int64
}

// Read implements io.Reader.
func (r *bufferReader) Read(p []byte) (int, error) {
	switch {
	case r.at >= r.b.size:
		return 0, io.EOF
	case r.at < r.b.inMem:
		block := r.b.blocks[r.at/blockSize]
		in := r.at % blockSize
		n := copy(p, block[in:min(blockSize, in+r.b.inMem-r.at)])
		r.at += int64(n)
		return n, nil
	}
	n, err := r.b.file.ReadAt(p, r.at-r.b.inMem)
	r.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Seek implements io.Seeker. The SDK rewinds with it to retry a request.
func (r *bufferReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.b.size
	}
	if offset < 0 {
		return r.at, errors.New("seek before the start of a part")
	}
	r.at = offset
	return offset, nil
}

// WriteTo implements io.WriterTo, so that blocks are sent without another copy.
func (r *bufferReader) WriteTo(w io.Writer) (int64, error) {
	var written int64
	for r.at < r.b.inMem {
		in := r.at % blockSize
		n, err := w.Write(r.b.blocks[r.at/blockSize][in:min(blockSize, in+r.b.inMem-r.at)])
		r.at += int64(n)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	if r.at < r.b.size {
		n, err := io.Copy(w, io.NewSectionReader(r.b.file, r.at-r.b.inMem, r.b.size-r.at))
		r.at += n
		return written + n, err
	}
	return written, nil
}

// ReadAt implements io.ReaderAt.
func (b *buffer) ReadAt(p []byte, at int64) (int, error) {
	r := &bufferReader{b, at}
	n, err := io.ReadFull(r, p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// sumAll returns the checksum of a section, and rewinds it.
func sumAll(r *io.SectionReader) (crc32c.Sum, error) {
	h := crc32.New(crc32c.Table)
	if _, err := io.Copy(h, r); err != nil {
		return 0, err
	}
	_, err := r.Seek(0, io.SeekStart)
	return crc32c.Sum(h.Sum32()), err
}
