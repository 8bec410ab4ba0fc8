package redis

import (
	"context"
	"crypto/rand"
	mrand "math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/storage"
)

const (
	// pollEvery is about how often somebody who waits looks again, in case the
	// word that the lock is free did not come.
	pollEvery = 500 * time.Millisecond
	// wantedFor is how long a waiter's wish counts without being repeated.
	wantedFor = 3 * time.Second
)

// Locker is a storage.Locker for the requests of all nodes. Within a node only
// one of those who wait for a lock competes with other nodes for it, so that a
// hundred of them cost no more than one.
//
// A lock that was lost, because this node was paused for longer than its lifetime
// or Redis forgot it, is given up: its holder is asked to let go.
type Locker struct {
	*Redis
	local storage.LocalLocker
	bell  *bell

	mu   sync.Mutex
	held map[string]*held // by upload id
}

type held struct {
	token string
	letGo func()
	until time.Time // when Redis lets it expire, by this node's clock
	stop  chan struct{}
}

var _ storage.Locker = (*Locker)(nil)

// NewLocker returns a Locker. Close it to stop listening.
func NewLocker(r *Redis) *Locker {
	l := &Locker{Redis: r, held: map[string]*held{}}
	l.bell = newBell(r, l.asked)
	return l
}

// Close ends what the Locker does in the background.
func (l *Locker) Close() { l.bell.close() }

// lockScript takes the lock if it is free, or else leaves word that it is wanted.
var lockScript = redis.NewScript(`
	if redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then
		return 1
	end
	redis.call("SET", KEYS[2], "1", "PX", ARGV[3])
	redis.call("PUBLISH", ARGV[4], "ask " .. ARGV[5])
	return 0`)

// renewScript makes the lock last, if it still is the caller's, and tells whether
// it is wanted: then the request to let go may have been missed. A lock that Redis
// has forgotten is taken again, unless somebody else has it.
var renewScript = redis.NewScript(`
	local holder = redis.call("GET", KEYS[1])
	if holder and holder ~= ARGV[1] then
		return -1
	end
	redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
	return redis.call("EXISTS", KEYS[2])`)

// unlockScript gives the lock back, if it still is the caller's, and says so to
// those who wait for it.
var unlockScript = redis.NewScript(`
	if redis.call("GET", KEYS[1]) ~= ARGV[1] then
		return 0
	end
	redis.call("DEL", KEYS[1])
	if redis.call("EXISTS", KEYS[2]) == 1 then
		redis.call("PUBLISH", ARGV[2], "free " .. ARGV[3])
	end
	return 1`)

var lockKeys = []string{"lock", "wanted"}

// Lock implements storage.Locker.
func (l *Locker) Lock(ctx context.Context, id string, letGo func()) (func(), error) {
	unlockLocal, err := l.local.Lock(ctx, id, letGo)
	if err != nil {
		return nil, err
	}
	h := &held{token: newToken(), letGo: letGo, stop: make(chan struct{})}
	if err := l.acquire(ctx, id, h); err != nil {
		unlockLocal()
		return nil, err
	}
	l.mu.Lock()
	l.held[id] = h
	l.mu.Unlock()
	go l.renew(id, h)
	return sync.OnceFunc(func() {
		l.mu.Lock()
		delete(l.held, id)
		l.mu.Unlock()
		close(h.stop)
		// Whoever unlocks may have been cancelled; that must not keep the lock.
		_, _ = l.run(context.Background(), unlockScript, id, lockKeys, h.token, l.bell.channel, id)
		unlockLocal()
	}), nil
}

// newToken is the name of one holder of a lock, which nobody else can know.
func newToken() string { return rand.Text() }

// acquire tries until the lock is this node's, or Redis is found to be down: then
// the local lock has to do.
func (l *Locker) acquire(ctx context.Context, id string, h *held) error {
	woken, stop := l.bell.wait(id)
	defer stop()
	for {
		asked := time.Now()
		got, err := l.run(ctx, lockScript, id, lockKeys,
			h.token, l.opts.LockTTL.Milliseconds(), wantedFor.Milliseconds(), l.bell.channel, id)
		if ctx.Err() != nil {
			l.giveBack(id, h)
			return storage.ErrLocked
		}
		if err != nil || got == int64(1) {
			h.until = asked.Add(l.opts.LockTTL)
			return nil
		}
		select {
		case <-ctx.Done():
			return storage.ErrLocked
		case <-woken:
		case <-time.After(pollEvery/2 + mrand.N(pollEvery)):
		}
	}
}

// giveBack releases a lock that may have been taken while its taker went away.
func (l *Locker) giveBack(id string, h *held) {
	_, _ = l.run(context.Background(), unlockScript, id, lockKeys, h.token, l.bell.channel, id)
}

// renew makes the lock last until it is unlocked. One renewal that fails is no
// reason to give up; that the lock is about to expire is.
func (l *Locker) renew(id string, h *held) {
	every := time.NewTicker(l.opts.LockTTL / 3)
	defer every.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-every.C:
		}
		asked := time.Now()
		state, err := l.run(context.Background(), renewScript, id, lockKeys, h.token, l.opts.LockTTL.Milliseconds())
		switch {
		case err == nil && state == int64(-1):
			h.letGo() // another node has it: this one was away for too long
		case err == nil:
			h.until = asked.Add(l.opts.LockTTL)
			if state == int64(1) {
				h.letGo()
			}
		case time.Now().After(h.until.Add(-l.opts.LockTTL/5)) && !l.down.Load():
			h.letGo()
		}
	}
}

// asked is called when somebody on another node wants a lock.
func (l *Locker) asked(id string) {
	l.mu.Lock()
	h, ok := l.held[id]
	l.mu.Unlock()
	if ok {
		go h.letGo()
	}
}
