package client

import (
	"sync"
	"time"
)

// line is the connection to a server that all uploads of a Client share: it hands out the
// slots in which chunks are sent, as many as its pace allows.
type line struct {
	mu      sync.Mutex
	pace    pace
	used    int
	changed chan struct{} // closed when a slot may have become free
}

func newLine(p pace) *line { return &line{pace: p, changed: make(chan struct{})} }

// slot is the permission to send one chunk.
type slot struct {
	line  *line
	size  int64 // of the chunk, at most
	begun time.Time
}

// acquire returns a slot, or nil and a channel that is closed when one may be free.
func (l *line) acquire() (*slot, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.used >= l.pace.slots() {
		return nil, l.changed
	}
	l.used++
	return &slot{l, l.pace.size(), time.Now()}, nil
}

// stored returns the slot after a chunk of n bytes was stored.
func (s *slot) stored(n int64) {
	s.release(func(p *pace) { p.stored(s.begun, time.Now(), n) })
}

// failed returns the slot after a chunk has failed.
func (s *slot) failed() {
	s.release(func(p *pace) { p.failed(s.begun, time.Now()) })
}

// tooLarge returns the slot after a chunk of n bytes was rejected for its length. It reports
// whether shorter chunks are possible.
func (s *slot) tooLarge(n int64) (ok bool) {
	s.release(func(p *pace) { ok = p.tooLarge(n) })
	return ok
}

// unused returns a slot in which nothing was sent.
func (s *slot) unused() { s.release(func(*pace) {}) }

func (s *slot) release(update func(*pace)) {
	l := s.line
	l.mu.Lock()
	defer l.mu.Unlock()
	update(&l.pace)
	l.used--
	close(l.changed)
	l.changed = make(chan struct{})
}

// now returns the size of chunks and the number of requests in flight.
func (l *line) now() (chunk int64, parallel int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pace.size(), l.used
}
