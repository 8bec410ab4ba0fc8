package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"syscall"
	"time"
)

// lease is a lock that a request of this node holds or waits for.
type lease struct {
	id          string
	token       string // identifies this holder; random
	onContended func()

	// Owned by acquire, then by renew, then by release:
	mayHold    bool        // Redis may have recorded this holder
	leaseTimer *time.Timer // fires before the lock may expire; nil if it was not acquired from Redis

	ended   chan struct{}
	renewed chan struct{} // closed when renew has returned

	mu        sync.Mutex
	held      bool // acquired and not yet released
	contended bool // another request waits for the lock
}

func newLease(id string, onContended func()) *lease {
	return &lease{id: id, token: rand.Text(), onContended: onContended, ended: make(chan struct{}), renewed: make(chan struct{})}
}

// requestRelease asks the holder to release the lock, as soon as there is one.
func (h *lease) requestRelease() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.contended = true
	if h.held {
		go h.onContended()
	}
}

func (h *lease) acquired() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = true
	if h.contended {
		go h.onContended()
	}
}

// stop stops renewal and waits for it: a renewal after the release would take the lock
// again.
func (h *lease) stop() {
	h.mu.Lock()
	h.held = false
	h.mu.Unlock()
	close(h.ended)
	<-h.renewed
}

// renewScript extends the lock, if it is the caller's, and returns whether other requests
// want it, in case the message was missed. A lock that Redis has lost is taken again, unless
// it has another holder: then the reply is -1.
var renewScript = newScript("renew", `
	local holder = redis.call("GET", KEYS[1])
	if holder and holder ~= ARGV[1] then
		return -1
	end
	redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
	return redis.call("EXISTS", KEYS[2])`)

// renew extends the lock until it is unlocked. Failed renewals are retried.
func (l *Locker) renew(h *lease) {
	defer close(h.renewed)
	wait := l.renewInterval()
	for {
		select {
		case <-h.ended:
			return
		case <-time.After(wait):
		}
		sent := time.Now()
		state, err := l.try(context.Background(), h, renewScript, l.opts.LockTTL.Milliseconds())
		if err != nil {
			wait = l.retryInterval()
			continue
		}
		if state == int64(-1) { // the lock expired and has another holder
			h.requestRelease()
			return
		}
		wait = l.renewInterval()
		l.extend(h, sent)
		if state == int64(1) {
			h.requestRelease()
		}
	}
}

// extend records that Redis keeps the lock for its TTL from then on.
func (l *Locker) extend(h *lease, from time.Time) {
	d := time.Until(from.Add(l.usableTTL()))
	if h.leaseTimer == nil {
		h.leaseTimer = time.AfterFunc(d, func() { l.expiring(h) })
		return
	}
	h.leaseTimer.Reset(d)
}

// expiring asks a holder whose lock could not be renewed, and is about to expire, to release
// it: other nodes may reach Redis and take it. If the connection is refused, Redis is down
// for all nodes, and uploads go on.
func (l *Locker) expiring(h *lease) {
	if !errors.Is(l.health.down(), syscall.ECONNREFUSED) {
		h.requestRelease()
	}
}
