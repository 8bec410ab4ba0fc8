// Package lru is a cache of a limited number of bytes that evicts what was least recently
// used.
package lru

import "container/list"

// Cache holds values by key. Create it with New. It is not safe for concurrent use.
type Cache[V any] struct {
	limit, bytes int64
	order        list.List // of *entry[V], the most recently used first
	byKey        map[string]*list.Element
}

type entry[V any] struct {
	key   string
	value V
	bytes int64
}

// New returns a cache of at most limit bytes, or of one value that is larger.
func New[V any](limit int64) *Cache[V] {
	return &Cache[V]{limit: limit, byKey: map[string]*list.Element{}}
}

// Get returns the value of a key, and whether there is one.
func (c *Cache[V]) Get(key string) (v V, ok bool) {
	e, ok := c.byKey[key]
	if !ok {
		return v, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*entry[V]).value, true
}

// Put sets the value of a key, which takes the given number of bytes, and returns the keys
// that it has evicted for it.
func (c *Cache[V]) Put(key string, v V, bytes int64) (evicted []string) {
	c.Delete(key)
	c.byKey[key] = c.order.PushFront(&entry[V]{key, v, bytes})
	c.bytes += bytes
	for c.bytes > c.limit && c.order.Len() > 1 {
		oldest := c.order.Back().Value.(*entry[V]).key
		c.Delete(oldest)
		evicted = append(evicted, oldest)
	}
	return evicted
}

// Delete removes a key.
func (c *Cache[V]) Delete(key string) {
	if e, ok := c.byKey[key]; ok {
		c.bytes -= e.Value.(*entry[V]).bytes
		c.order.Remove(e)
		delete(c.byKey, key)
	}
}
