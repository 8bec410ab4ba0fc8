//go:build unix

package s3

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// newSlab is memory that the garbage collector does not know of: if it did, it would
// let as much garbage pile up beside it before it collects any. It lasts as long as
// the budget, to which whoever uses a part of it holds on.
func newArena(of *memoryPool, size int) []byte {
	slab, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, size)
	}
	runtime.AddCleanup(of, func(slab []byte) { _ = unix.Munmap(slab) }, slab)
	return slab
}
