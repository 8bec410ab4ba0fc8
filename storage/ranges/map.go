package ranges

import (
	"cmp"
	"iter"
)

// Key is a range with a name. Keys are in the order of their starts, ends and names.
type Key struct {
	Range
	Name string
}

func (k Key) compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Start, o.Start), cmp.Compare(k.End, o.End), cmp.Compare(k.Name, o.Name))
}

// Map maps keys to values. Ranges of different keys may overlap. The zero Map is empty and
// ready to use.
//
// A copy of a Map is a snapshot: it shares memory with the Map but does not change with it.
// Lookups and changes take time that grows with the logarithm of the number of keys. A Map
// is not safe for concurrent use, but its copies are independent.
type Map[V any] struct{ root *node[V] }

// Len returns the number of keys.
func (m Map[V]) Len() int { return m.root.len() }

// Get returns the value of a key, and whether there is one.
func (m Map[V]) Get(k Key) (v V, ok bool) {
	n := m.root
	for n != nil {
		c := k.compare(n.Key)
		if c == 0 {
			return n.value, true
		}
		n = n.child(c)
	}
	return v, false
}

// Put sets the value of a key.
func (m *Map[V]) Put(k Key, v V) {
	below, rest := split(m.root, k)
	_, above := split(rest, k.next())
	m.root = join(join(below, leaf(k, v)), above)
}

// Delete removes a key.
func (m *Map[V]) Delete(k Key) {
	if _, ok := m.Get(k); !ok {
		return
	}
	below, rest := split(m.root, k)
	_, above := split(rest, k.next())
	m.root = join(below, above)
}

// All yields the keys and their values in ascending order.
func (m Map[V]) All() iter.Seq2[Key, V] {
	return func(yield func(Key, V) bool) {
		m.root.visit(func(n *node[V]) bool { return yield(n.Key, n.value) })
	}
}

// Overlapping yields the keys whose range has an offset in common with r, and their values,
// in ascending order.
func (m Map[V]) Overlapping(r Range) iter.Seq2[Key, V] {
	return func(yield func(Key, V) bool) {
		m.root.overlapping(r, func(n *node[V]) bool { return yield(n.Key, n.value) })
	}
}
