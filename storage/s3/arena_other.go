//go:build !unix

package s3

// newArena allocates size bytes on the heap.
func newArena(_ *memoryPool, size int) []byte { return make([]byte, size) }
