package disk

import (
	"container/list"
	"sync"
)

// maxCachedJournals limits a journalCache, in bytes of journal files. It takes less memory.
const maxCachedJournals = 32 << 20

// journalCache is an LRU cache of parsed journals. Only this process writes journals. The
// ranges in the cache must not be modified.
type journalCache struct {
	mu    sync.Mutex
	byID  map[string]*list.Element
	order list.List // of journals, most recently used first
	bytes int64
}

func (c *journalCache) get(id string) (journal, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byID[id]
	if !ok {
		return journal{}, false
	}
	c.order.MoveToFront(e)
	return e.Value.(journal), true
}

func (c *journalCache) put(j journal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(j.record.ID)
	if c.byID == nil {
		c.byID = map[string]*list.Element{}
	}
	c.byID[j.record.ID] = c.order.PushFront(j)
	c.bytes += j.length
	for e := c.order.Back(); e != nil && c.bytes > maxCachedJournals; {
		oldest := e.Value.(journal)
		e = e.Prev()
		if !oldest.mustRewrite {
			c.remove(oldest.record.ID)
		}
	}
}

func (c *journalCache) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(id)
}

func (c *journalCache) remove(id string) {
	if e, ok := c.byID[id]; ok {
		c.bytes -= e.Value.(journal).length
		c.order.Remove(e)
		delete(c.byID, id)
	}
}
