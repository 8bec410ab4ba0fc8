package redis

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// Locker is a storage.Locker for the requests of all nodes. Within a node only
// one of those who wait for a lock competes with other nodes for it, so that a
// hundred of them cost little more than one.
//
// While Redis is down each node locks for itself. A lock that is lost, because this
// node was paused for longer than its lifetime or Redis forgot it, is taken again
// or, if somebody else has it, given up: its holder is asked to let go.
type Locker struct {
	*Redis
	local  storage.MemoryLocker
	pubsub *pubsub

	mu     sync.Mutex
	leases map[string]*lease                    // by token
	flush  func(ctx context.Context, id string) // nil if nobody has called OnFlush
}

var _ storage.Locker = (*Locker)(nil)

// NewLocker returns a Locker that hears the others. Close it to stop listening.
func NewLocker(r *Redis) *Locker {
	l := &Locker{Redis: r, leases: map[string]*lease{}}
	l.pubsub = newPubsub(r, l.onWanted, l.flushAsked)
	return l
}

// Close ends what the Locker does in the background. Locks that are held stay so.
func (l *Locker) Close() { l.pubsub.close() }

// Of the lifetime of a lock:
func (l *Locker) renewEvery() time.Duration { return l.opts.LockTTL / 3 }
func (l *Locker) retryEvery() time.Duration { return l.opts.LockTTL / 15 }

// safeFor is for how long a holder may rely on it without renewal.
func (l *Locker) usableFor() time.Duration { return l.opts.LockTTL * 4 / 5 }

// wantedFor is how long a waiter's wish counts that is not repeated: less than what
// goes by between a lock's being taken and its first renewal, so that nobody is asked
// to let go for one who waited for another.
func (l *Locker) wantedFor() time.Duration { return l.opts.LockTTL / 5 }

// pollEvery is about how often somebody who waits looks again, in case the word that
// the lock is free did not come.
func (l *Locker) pollEvery() time.Duration { return l.opts.LockTTL / 30 }

var lockKeys = []string{"lock", "wanted"}

// lockScript takes the lock if it is free, or else asks the holder to let go. The
// caller may have taken it already, if the answer was lost and the client repeats
// the request.
var lockScript = newScript("lock", `
	local holder = redis.call("GET", KEYS[1])
	if not holder or holder == ARGV[1] then
		redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
		return 1
	end
	redis.call("SET", KEYS[2], "1", "PX", ARGV[3])
	redis.call("PUBLISH", ARGV[4], "ask " .. holder)
	return 0`)

// unlockScript gives the lock back, if it still is the caller's, and says so to
// those who wait for it.
var unlockScript = newScript("unlock", `
	if redis.call("GET", KEYS[1]) ~= ARGV[1] then
		return 0
	end
	redis.call("DEL", KEYS[1])
	if redis.call("EXISTS", KEYS[2]) == 1 then
		redis.call("PUBLISH", ARGV[2], "free " .. ARGV[3])
	end
	return 1`)

// Lock implements storage.Locker.
func (l *Locker) Lock(ctx context.Context, id string, letGo func()) (func(), error) {
	h := newLease(id, letGo)
	unlockLocal, err := l.local.Lock(ctx, id, h.ask)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.leases[h.token] = h // before anybody can ask for it
	l.mu.Unlock()
	if err := l.acquire(ctx, h); err != nil {
		l.release(h)
		unlockLocal()
		return nil, err
	}
	h.begin()
	go l.renew(h)
	return sync.OnceFunc(func() {
		h.end()
		l.release(h)
		unlockLocal()
	}), nil
}

// acquire tries until the lock is this node's, or Redis is found to be down: then
// the local lock has to do.
func (l *Locker) acquire(ctx context.Context, h *lease) error {
	woken, done := l.pubsub.wait(h.id)
	defer done()
	for ctx.Err() == nil {
		asked := time.Now()
		got, err := l.try(ctx, h, lockScript, l.opts.LockTTL.Milliseconds(), l.wantedFor().Milliseconds(), l.pubsub.channel)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return nil
		}
		if got == int64(1) {
			l.extend(h, asked)
			return nil
		}
		select {
		case <-ctx.Done():
		case <-woken:
		case <-time.After(l.pollEvery()/2 + rand.N(l.pollEvery())):
		}
	}
	return storage.ErrLocked
}

// try runs a script that may make h the holder of its lock.
func (l *Locker) try(ctx context.Context, h *lease, script *script, args ...any) (any, error) {
	if l.health.down() == nil {
		h.tried = true
	}
	return l.run(ctx, call{script: script, id: h.id, names: lockKeys, args: append([]any{h.token}, args...)})
}

// release gives a lock back that h may have. It does so whatever became of the
// request that wanted it, and once Redis answers if it does not now.
func (l *Locker) release(h *lease) {
	l.mu.Lock()
	delete(l.leases, h.token)
	l.mu.Unlock()
	if h.leaseTimer != nil {
		h.leaseTimer.Stop()
	}
	if h.tried {
		c := call{script: unlockScript, id: h.id, names: lockKeys, args: []any{h.token, l.pubsub.channel, h.id}}
		later := c
		c.compensation = &later
		_, _ = l.run(context.Background(), c)
	}
}

// asked is called when somebody on another node wants a lock.
func (l *Locker) onWanted(token string) {
	l.mu.Lock()
	h, ok := l.leases[token]
	l.mu.Unlock()
	if ok {
		h.ask()
	}
}
