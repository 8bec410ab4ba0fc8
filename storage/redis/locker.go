package redis

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// Locker is a storage.Locker across all nodes. Of the requests of one node that wait for a
// lock, only one at a time competes for it in Redis, so a hundred cost little more than one.
//
// While Redis is down each node locks locally. A lock that is lost, because this node was
// paused for longer than its TTL or Redis lost it, is taken again. If another request holds
// it by then, the holder here is asked to release it.
type Locker struct {
	*Redis
	local  storage.MemoryLocker
	pubsub *pubsub

	mu     sync.Mutex
	leases map[string]*lease                    // by token
	flush  func(ctx context.Context, id string) // nil until OnFlush is called
}

var _ storage.Locker = (*Locker)(nil)

// NewLocker returns a Locker that is subscribed to the messages of other nodes. Close ends
// the subscription.
func NewLocker(r *Redis) *Locker {
	l := &Locker{Redis: r, leases: map[string]*lease{}}
	l.pubsub = newPubsub(r, l.onLockWanted, l.onFlushRequest)
	return l
}

// Close ends the subscription. Locks that are held are kept.
func (l *Locker) Close() { l.pubsub.close() }

// All derived from the TTL of a lock:
func (l *Locker) renewInterval() time.Duration { return l.opts.LockTTL / 3 }
func (l *Locker) retryInterval() time.Duration { return l.opts.LockTTL / 15 }

// usableTTL is how long a holder may rely on the lock without renewal.
func (l *Locker) usableTTL() time.Duration { return l.opts.LockTTL * 4 / 5 }

// wantedTTL is the TTL of the "wanted" key. It is shorter than the first renewal interval,
// so a new holder does not see the previous waiter's request.
func (l *Locker) wantedTTL() time.Duration { return l.opts.LockTTL / 5 }

// pollInterval is about how often a waiter polls, in case a message was lost.
func (l *Locker) pollInterval() time.Duration { return l.opts.LockTTL / 30 }

var lockKeys = []string{"lock", "wanted"}

// lockScript takes the lock if it is free, or else asks the holder to release it. The caller
// may hold it already, if a reply was lost and the client retried.
var lockScript = newScript("lock", `
	local holder = redis.call("GET", KEYS[1])
	if not holder or holder == ARGV[1] then
		redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
		return 1
	end
	redis.call("SET", KEYS[2], "1", "PX", ARGV[3])
	redis.call("PUBLISH", ARGV[4], "ask " .. holder)
	return 0`)

// unlockScript releases the lock, if it is the caller's, and notifies waiters.
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
func (l *Locker) Lock(ctx context.Context, id string, onContended func()) (func(), error) {
	h := newLease(id, onContended)
	unlockLocal, err := l.local.Lock(ctx, id, h.requestRelease)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.leases[h.token] = h // before it can be asked for
	l.mu.Unlock()
	if err := l.acquire(ctx, h); err != nil {
		l.release(h)
		unlockLocal()
		return nil, err
	}
	h.acquired()
	go l.renew(h)
	return sync.OnceFunc(func() {
		h.stop()
		l.release(h)
		unlockLocal()
	}), nil
}

// acquire tries until it has the lock, or Redis is down: then the local lock suffices.
func (l *Locker) acquire(ctx context.Context, h *lease) error {
	woken, done := l.pubsub.wait(h.id)
	defer done()
	for ctx.Err() == nil {
		sent := time.Now()
		got, err := l.try(ctx, h, lockScript, l.opts.LockTTL.Milliseconds(), l.wantedTTL().Milliseconds(), l.pubsub.channel)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return nil
		}
		if got == int64(1) {
			l.extend(h, sent)
			return nil
		}
		select {
		case <-ctx.Done():
		case <-woken:
		case <-time.After(l.pollInterval()/2 + rand.N(l.pollInterval())):
		}
	}
	return storage.ErrLocked
}

// try runs a script that may make h the holder of the lock.
func (l *Locker) try(ctx context.Context, h *lease, script *script, args ...any) (any, error) {
	if l.health.down() == nil {
		h.mayHold = true
	}
	return l.run(ctx, call{script: script, id: h.id, names: lockKeys, args: append([]any{h.token}, args...)})
}

// release releases a lock that h may hold, even if the request was cancelled. While Redis is
// down this is deferred.
func (l *Locker) release(h *lease) {
	l.mu.Lock()
	delete(l.leases, h.token)
	l.mu.Unlock()
	if h.leaseTimer != nil {
		h.leaseTimer.Stop()
	}
	if h.mayHold {
		c := call{script: unlockScript, id: h.id, names: lockKeys, args: []any{h.token, l.pubsub.channel, h.id}}
		deferred := c
		c.compensation = &deferred
		_, _ = l.run(context.Background(), c)
	}
}

// onLockWanted is called when another node wants a lock of this one.
func (l *Locker) onLockWanted(token string) {
	l.mu.Lock()
	h, ok := l.leases[token]
	l.mu.Unlock()
	if ok {
		h.requestRelease()
	}
}
