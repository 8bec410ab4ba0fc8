package disk

import (
	"maps"
	"math/rand/v2"
)

// loss is what a power loss leaves of what was not synced.
type loss int

const (
	nothingStays loss = iota // nothing is left
	someStays                // any part of files, torn anywhere, and any prefix of the name changes
	allStays                 // everything: only the process ends
	losses
)

func (l loss) String() string {
	return [...]string{"nothing stays", "some stays", "all stays"}[l]
}

// clone returns a copy with the same synced state, and without locks.
func (m *memFS) clone() *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := copier{}
	out := &memFS{root: c.node(m.root), locked: map[*node]bool{}, moment: m.moment, ordered: m.ordered}
	for _, e := range m.events {
		out.events = append(out.events, event{e.moment, c.node(e.dir), c.all(e.names)})
	}
	return out
}

// copier maps nodes to their copies: a node with two names is copied once.
type copier map[*node]*node

func (c copier) node(n *node) *node {
	if out, ok := c[n]; ok || n == nil {
		return out
	}
	out := &node{now: n.now.clone(), synced: n.synced, dropped: maps.Clone(n.dropped), modTime: n.modTime}
	c[n] = out
	if n.isDir() {
		out.names, out.syncedNames = c.all(n.names), c.all(n.syncedNames)
	}
	return out
}

func (c copier) all(names map[string]*node) map[string]*node {
	out := make(map[string]*node, len(names))
	for name, n := range names {
		out[name] = c.node(n)
	}
	return out
}

// lose applies a power loss to a file system that is not in use any more.
func (m *memFS) lose(l loss, rnd *rand.Rand) {
	if l == allStays {
		return
	}
	some := func() bool { return l == someStays && rnd.IntN(2) == 0 }
	last := map[*node]int{} // when the changes left end, by directory
	moment := func() int { return m.moment - rnd.IntN(len(m.events)+1) }
	for i, e := range m.events {
		if _, ok := last[e.dir]; !ok && l == someStays && (i == 0 || !m.ordered) {
			last[e.dir] = moment()
		} else if !ok && m.ordered {
			last[e.dir] = last[m.events[0].dir]
		}
		if e.moment <= last[e.dir] {
			e.dir.syncedNames = e.names
		}
	}
	m.events = nil
	m.root.lose(some, rnd, map[*node]bool{})
}

func (n *node) lose(some func() bool, rnd *rand.Rand, done map[*node]bool) {
	if done[n] {
		return
	}
	done[n] = true
	if !n.isDir() && !n.now.equal(n.synced) {
		n.now = torn(n.synced, n.now, some, rnd)
		n.synced = n.now.clone()
	}
	n.dropped = nil
	if n.isDir() {
		n.names = maps.Clone(n.syncedNames)
	}
	for _, child := range n.names {
		child.lose(some, rnd, done)
	}
}

// torn returns what is left of a file: any of the blocks written since the last sync, one of
// them partially, and any size up to the new one.
func torn(old, now content, some func() bool, rnd *rand.Rand) content {
	out := old.clone()
	if out.blocks == nil {
		out.blocks = map[int64]*[blockLen]byte{}
	}
	for i, block := range now.blocks {
		if old.blocks[i] == block || !some() {
			continue
		}
		mixed := new([blockLen]byte)
		if was := old.blocks[i]; was != nil {
			*mixed = *was
		}
		end := blockLen
		if some() {
			end = rnd.IntN(blockLen)
			if first := differ(mixed[:], block[:]); some() && first < blockLen { // in the middle of a small write
				end = first + rnd.IntN(min(blockLen-first, 60))
			}
		}
		copy(mixed[:end], block[:end])
		out.blocks[i] = mixed
	}
	size := old.size
	if some() {
		size = now.size
		if some() {
			size = min(old.size, now.size) + rnd.Int64N(max(old.size, now.size)-min(old.size, now.size)+1)
		}
	}
	out.size = max(old.size, now.size) // so that blocks beyond the size are removed
	out.truncate(size)
	return out
}

func differ(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}
