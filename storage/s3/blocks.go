package s3

// Blocks is the pool of memory that the buffers of a store use, up to Options.Memory.
type Blocks struct {
	pool  *memoryPool
	limit int64
}

// Blocks returns the pool, for others to share it.
func (s *Store) Blocks() Blocks { return Blocks{s.budget, s.opts.Memory} }

// Get returns a block of memory, nil if all are in use.
func (b Blocks) Get() []byte { return b.pool.Get() }

// Put returns blocks to the pool.
func (b Blocks) Put(blocks [][]byte) { b.pool.Put(blocks) }

// Usage returns how many bytes are in use, and how many may be.
func (b Blocks) Usage() (used, limit int64) { return b.pool.used(), b.limit }
