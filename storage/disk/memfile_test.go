package disk

import (
	"io"
	"io/fs"
	"maps"
	"time"
)

const blockLen = 4096

// content is the bytes of a file. Blocks are immutable, so copies share them. Missing blocks
// are zero.
type content struct {
	size   int64
	blocks map[int64]*[blockLen]byte // by number
}

func (c content) clone() content { return content{c.size, maps.Clone(c.blocks)} }

func (c *content) writeAt(p []byte, at int64) {
	if c.blocks == nil {
		c.blocks = map[int64]*[blockLen]byte{}
	}
	c.size = max(c.size, at+int64(len(p)))
	for len(p) > 0 {
		block := new([blockLen]byte)
		if old := c.blocks[at/blockLen]; old != nil {
			*block = *old
		}
		n := copy(block[at%blockLen:], p)
		c.blocks[at/blockLen] = block
		p, at = p[n:], at+int64(n)
	}
}

// readAt fills p, which must not extend past the end.
func (c content) readAt(p []byte, at int64) {
	for len(p) > 0 {
		var zeros [blockLen]byte
		block := c.blocks[at/blockLen]
		if block == nil {
			block = &zeros
		}
		n := copy(p, block[at%blockLen:])
		p, at = p[n:], at+int64(n)
	}
}

func (c *content) truncate(size int64) {
	if size < c.size {
		maps.DeleteFunc(c.blocks, func(i int64, _ *[blockLen]byte) bool { return i*blockLen >= size })
		if last := size / blockLen; c.blocks[last] != nil {
			block := new([blockLen]byte)
			copy(block[:], c.blocks[last][:size%blockLen])
			c.blocks[last] = block
		}
	}
	c.size = size
}

func (c content) equal(o content) bool { return c.size == o.size && maps.Equal(c.blocks, o.blocks) }

// memFile is an open file of a memFS.
type memFile struct {
	fs     *memFS
	node   *node
	path   string
	offset int64
	closed bool
}

func (f *memFile) change(op string, do func() error) error {
	return f.fs.change(op, f.path, func() error {
		if f.closed {
			return fs.ErrClosed
		}
		return do()
	})
}

func (f *memFile) WriteAt(p []byte, at int64) (int, error) {
	err := f.change("write", func() error {
		f.node.now.writeAt(p, at)
		f.node.modTime = time.Now()
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *memFile) Truncate(size int64) error {
	return f.change("truncate", func() error {
		f.node.now.truncate(size)
		f.node.modTime = time.Now()
		return nil
	})
}

// Sync makes durable what was written since the last sync, even if that failed: a failed
// sync may drop earlier writes, as on Linux, so that they stay in memory only.
func (f *memFile) Sync() error {
	n := f.node
	return f.fs.changeOr("sync", f.path, func() error {
		if f.fs.idle = n.now.equal(n.synced); f.fs.idle {
			return nil
		}
		synced := n.now.clone()
		for i, block := range n.dropped {
			if synced.blocks[i] != block {
				continue // it was written again
			}
			if was := n.synced.blocks[i]; was != nil {
				synced.blocks[i] = was
			} else {
				delete(synced.blocks, i)
			}
		}
		n.synced = synced
		return nil
	}, n.drop)
}

// StartWriteback changes nothing, unless it fails: that may drop writes as a failed sync does,
// and the next Sync does not report it.
func (f *memFile) StartWriteback(int64, int64) error {
	return f.fs.changeOr("writeback", f.path, func() error {
		f.fs.idle = true
		return nil
	}, f.node.drop)
}

// drop is the effect of a failed sync.
func (n *node) drop() {
	if n.dropped == nil {
		n.dropped = map[int64]*[blockLen]byte{}
	}
	for i, block := range n.now.blocks {
		if n.synced.blocks[i] != block {
			n.dropped[i] = block
		}
	}
}

func (f *memFile) Read(p []byte) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n := int(min(int64(len(p)), f.node.now.size-f.offset))
	if n <= 0 {
		return 0, io.EOF
	}
	f.node.now.readAt(p[:n], f.offset)
	f.offset += int64(n)
	f.fs.read += int64(n)
	return n, nil
}

func (f *memFile) Seek(offset int64, _ int) (int64, error) {
	f.offset = offset // the store only seeks from the start
	return offset, nil
}

func (f *memFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return fs.ErrClosed
	}
	f.closed = true
	return nil
}
