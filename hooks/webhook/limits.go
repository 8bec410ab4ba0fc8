package webhook

import (
	"maps"
	"sync"
	"time"
)

// throttle lets something through once in a while for each upload, or whatever has a
// name.
type throttle struct {
	every time.Duration

	mu     sync.Mutex
	last   map[string]time.Time
	pruned time.Time
}

func (t *throttle) passes(id string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil || now.Sub(t.pruned) > max(t.every, time.Second) {
		t.prune(now)
	}
	if at, ok := t.last[id]; ok && now.Sub(at) < t.every {
		return false
	}
	t.last[id] = now
	return true
}

// prune forgets what holds nothing back any more.
func (t *throttle) prune(now time.Time) {
	if t.last == nil {
		t.last = map[string]time.Time{}
	}
	t.pruned = now
	maps.DeleteFunc(t.last, func(_ string, at time.Time) bool { return now.Sub(at) >= t.every })
}
