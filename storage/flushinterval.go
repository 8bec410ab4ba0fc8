package storage

import (
	"sync"
	"time"
)

// flushTimer determines when a write in progress must store data again. Other processes
// see only what a write has stored. To keep them from expiring the upload, a slow write
// stores data earlier than its store would.
type flushTimer struct {
	now  func() time.Time
	life time.Duration // of an upload that nothing is added to; 0 is forever

	mu   sync.Mutex
	next time.Time
}

// newFlushTimer returns the timer of a write to up. It first expires halfway to the
// expiry of up.
func (u *Uploads) newFlushTimer(up Upload) *flushTimer {
	t := &flushTimer{now: u.opts.Now, life: u.lifetime(up.Record)}
	now := t.now()
	t.next = now.Add(u.Expires(up).Sub(now) / 2)
	return t
}

// reset restarts the timer, after data was stored.
func (t *flushTimer) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = t.now().Add(t.life / 2)
}

// expired reports whether data must be stored now.
func (t *flushTimer) expired() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.life > 0 && !t.now().Before(t.next)
}
