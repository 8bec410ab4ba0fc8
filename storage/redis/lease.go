package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"syscall"
	"time"
)

// held is a lock that a request of this node has, or tries to get.
type lease struct {
	id          string
	token       string // the name of this holder, which nobody can guess
	onContended func()

	// Of whoever tries to get the lock, then of renew, then of whoever releases it:
	tried      bool        // Redis may have the lock for this holder
	leaseTimer *time.Timer // rings before Redis may let the lock expire; nil if it has none

	ended   chan struct{}
	renewed chan struct{} // closed when renew has come to its end

	mu     sync.Mutex
	has    bool // the lock was given to the caller, and not given back
	wanted bool // by somebody else
}

func newLease(id string, letGo func()) *lease {
	return &lease{id: id, token: rand.Text(), onContended: letGo, ended: make(chan struct{}), renewed: make(chan struct{})}
}

// ask asks the holder to let go: as soon as it is one.
func (h *lease) ask() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wanted = true
	if h.has {
		go h.onContended()
	}
}

func (h *lease) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.has = true
	if h.wanted {
		go h.onContended()
	}
}

// end ends the renewal: one that came after the release would take the lock again.
func (h *lease) end() {
	h.mu.Lock()
	h.has = false
	h.mu.Unlock()
	close(h.ended)
	<-h.renewed
}

// renewScript makes the lock last, if it still is the caller's, and tells whether
// it is wanted: then the request to let go may have been missed. A lock that Redis
// has forgotten is taken again, unless somebody else has it.
var renewScript = newScript("renew", `
	local holder = redis.call("GET", KEYS[1])
	if holder and holder ~= ARGV[1] then
		return -1
	end
	redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
	return redis.call("EXISTS", KEYS[2])`)

// renew makes the lock last until it is unlocked. One renewal that fails is no
// reason to give up.
func (l *Locker) renew(h *lease) {
	defer close(h.renewed)
	wait := l.renewEvery()
	for {
		select {
		case <-h.ended:
			return
		case <-time.After(wait):
		}
		asked := time.Now()
		state, err := l.try(context.Background(), h, renewScript, l.opts.LockTTL.Milliseconds())
		if err != nil {
			wait = l.retryEvery()
			continue
		}
		if state == int64(-1) { // this node was away for too long
			h.ask()
			return
		}
		wait = l.renewEvery()
		l.extend(h, asked)
		if state == int64(1) {
			h.ask()
		}
	}
}

// safe notes that Redis keeps the lock for its lifetime from then on.
func (l *Locker) extend(h *lease, from time.Time) {
	d := time.Until(from.Add(l.usableFor()))
	if h.leaseTimer == nil {
		h.leaseTimer = time.AfterFunc(d, func() { l.expiring(h) })
		return
	}
	h.leaseTimer.Reset(d)
}

// unsafe asks a holder to let go whose lock could not be renewed and is about to
// expire: others may reach Redis and take it. Where nothing listens, nobody can,
// and an outage of Redis is no reason to stop healthy uploads.
func (l *Locker) expiring(h *lease) {
	if !errors.Is(l.health.down(), syscall.ECONNREFUSED) {
		h.ask()
	}
}
