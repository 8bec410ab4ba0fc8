//go:build unix

package s3

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// newArena maps size bytes outside the Go heap, so that the buffers do not raise the heap
// size at which the garbage collector runs. They are unmapped when the pool is collected;
// every user of a block holds a reference to the pool.
func newArena(of *memoryPool, size int) []byte {
	arena, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, size)
	}
	runtime.AddCleanup(of, func(arena []byte) { _ = unix.Munmap(arena) }, arena)
	return arena
}
