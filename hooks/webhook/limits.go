package webhook

import (
	"maps"
	"sync"
	"time"
)

// throttle passes at most one event per interval for each id.
type throttle struct {
	every time.Duration

	mu     sync.Mutex
	last   map[string]time.Time
	pruned time.Time
}

// passes reports whether an event of id at the given time passes.
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

// prune removes ids whose interval is over.
func (t *throttle) prune(now time.Time) {
	if t.last == nil {
		t.last = map[string]time.Time{}
	}
	t.pruned = now
	maps.DeleteFunc(t.last, func(_ string, at time.Time) bool { return now.Sub(at) >= t.every })
}
