package storage

import (
	"sync"
	"time"
)

// pulse is when an open write must have something stored again. Other processes see of a
// write only what was stored: so that they do not let the upload expire under it, a slow
// one stores a little before a store would by itself.
type flushTimer struct {
	now  func() time.Time
	life time.Duration // of an upload that nothing is added to; 0 is for ever

	mu   sync.Mutex
	next time.Time
}

// pulse returns that of a write to up: it begins halfway to when up expires.
func (u *Uploads) newFlushTimer(up Upload) *flushTimer {
	p := &flushTimer{now: u.opts.Now, life: u.lifetime(up.Record)}
	now := p.now()
	p.next = now.Add(u.Expires(up).Sub(now) / 2)
	return p
}

// beat notes that something was stored now.
func (p *flushTimer) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = p.now().Add(p.life / 2)
}

// due tells whether it is time to store something.
func (p *flushTimer) expired() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life > 0 && !p.now().Before(p.next)
}
