package ranges

import "math/rand/v2"

// node is a node of a treap: a search tree by key that is a heap by priority. As priorities
// are random, the tree is balanced whatever the order of insertion. Nodes are immutable; a
// change makes new ones along one or two paths.
type node[V any] struct {
	Key
	value       V
	priority    uint32
	count       int32 // of nodes in this subtree
	maxEnd      int64 // the highest End in this subtree
	bytes       int64 // the sum of the lengths in this subtree
	left, right *node[V]
}

func leaf[V any](k Key, v V) *node[V] {
	n := &node[V]{Key: k, value: v, priority: rand.Uint32()}
	n.summarize()
	return n
}

func (n *node[V]) summarize() {
	n.count, n.maxEnd, n.bytes = 1, n.End, n.Len()
	for _, c := range []*node[V]{n.left, n.right} {
		if c != nil {
			n.count += c.count
			n.maxEnd = max(n.maxEnd, c.maxEnd)
			n.bytes += c.bytes
		}
	}
}

// with returns a copy of n with other children.
func (n *node[V]) with(left, right *node[V]) *node[V] {
	if n.left == left && n.right == right {
		return n
	}
	c := *n
	c.left, c.right = left, right
	c.summarize()
	return &c
}

func (n *node[V]) len() int {
	if n == nil {
		return 0
	}
	return int(n.count)
}

// child returns the child in which to look for a key that compares as c with that of n.
func (n *node[V]) child(c int) *node[V] {
	if c < 0 {
		return n.left
	}
	return n.right
}

// split returns the trees of the keys below k, and of the rest.
func split[V any](n *node[V], k Key) (below, rest *node[V]) {
	if n == nil {
		return nil, nil
	}
	if n.compare(k) < 0 {
		below, rest = split(n.right, k)
		return n.with(n.left, below), rest
	}
	below, rest = split(n.left, k)
	return below, n.with(rest, n.right)
}

// join returns the tree of both. The keys of a are below those of b.
func join[V any](a, b *node[V]) *node[V] {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority >= b.priority:
		return a.with(a.left, join(a.right, b))
	}
	return b.with(join(a, b.left), b.right)
}

// next returns the lowest key above k.
func (k Key) next() Key { return Key{k.Range, k.Name + "\x00"} }

func (n *node[V]) first() *node[V] {
	for n != nil && n.left != nil {
		n = n.left
	}
	return n
}

func (n *node[V]) last() *node[V] {
	for n != nil && n.right != nil {
		n = n.right
	}
	return n
}

// visit calls f in ascending order until it returns false, and returns its last result.
func (n *node[V]) visit(f func(*node[V]) bool) bool {
	return n == nil || n.left.visit(f) && f(n) && n.right.visit(f)
}

// overlapping is visit for the nodes that overlap r.
func (n *node[V]) overlapping(r Range, f func(*node[V]) bool) bool {
	switch {
	case n == nil || r.Empty() || n.maxEnd <= r.Start:
		return true
	case !n.left.overlapping(r, f):
		return false
	case n.Start >= r.End:
		return true
	case !n.Intersect(r).Empty() && !f(n):
		return false
	}
	return n.right.overlapping(r, f)
}
