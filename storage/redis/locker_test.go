package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/test/servers"
)

func TestNewLockerIsSubscribedOnReturn(t *testing.T) {
	s := servers.Redis(t)
	r, err := Connect(Options{URL: s.URL("redis"), timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.client.AddHook(slowSubscriber{})
	defer NewLocker(r).Close()
	if n := admin(t, s).PubSubNumSub(t.Context(), "locks").Val()["locks"]; n != 1 {
		t.Errorf("%d nodes have subscribed, want 1", n)
	}
}

// slowSubscriber delays subscriptions.
type slowSubscriber struct{}

func (slowSubscriber) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		return slowConn{conn}, err
	}
}

func (slowSubscriber) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (slowSubscriber) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

type slowConn struct{ net.Conn }

func (c slowConn) Write(p []byte) (int, error) {
	if !bytes.Contains(p, []byte("subscribe")) {
		return c.Conn.Write(p)
	}
	late := bytes.Clone(p)
	time.AfterFunc(200*time.Millisecond, func() { _, _ = c.Conn.Write(late) })
	return len(p), nil
}

// With this lock TTL no waiter polls before beforeFirstPoll: what is faster is due to a
// message.
const (
	rarePolls       = 10 * time.Minute
	beforeFirstPoll = 9 * time.Second
)

func TestFreeLockIsFoundWhenItsMessageIsLost(t *testing.T) {
	t.Parallel()
	nodes := newNodes(t, 2, Options{URL: servers.Redis(t).URL("redis"), LockTTL: 30 * time.Second})
	for _, n := range nodes {
		_ = n.locker.pubsub.sub.Close() // it receives no messages from now on
	}
	unlock, _ := nodes[0].lock(t, "it")
	time.AfterFunc(50*time.Millisecond, unlock)
	within(t, 20*time.Second, "the second lock", func() {
		unlock, _ := nodes[1].lock(t, "it")
		unlock()
	})
}

func TestHolderIsAskedWhenTheMessageIsLost(t *testing.T) {
	t.Parallel()
	nodes := newNodes(t, 2, Options{URL: servers.Redis(t).URL("redis"), LockTTL: 3 * time.Second})
	_ = nodes[0].locker.pubsub.sub.Close()
	unlock, asked := nodes[0].lock(t, "it")
	second := make(chan struct{})
	go func() {
		defer close(second)
		unlock, _ := nodes[1].lock(t, "it")
		unlock()
	}()
	wantAsked(t, 30*time.Second, asked)
	unlock()
	<-second
}

func TestLockOfACrashedHolderExpiresAfterItsTTL(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis")})
	admin(t, s).Set(t.Context(), n.key("it", "lock"), "of a node that is no more", 300*time.Millisecond)
	within(t, 15*time.Second, "the lock", func() {
		unlock, _ := n.lock(t, "it")
		unlock()
	})
}

// Every holder keeps the lock until it is asked to release it.
func TestHundredWaitersOnThreeNodesAllGetTheLockWithoutAStampede(t *testing.T) {
	const waiters, perHandover = 100, 30
	s := servers.Redis(t)
	nodes := newNodes(t, 3, Options{URL: s.URL("redis")})
	first, asked := nodes[0].lock(t, "it")
	c := admin(t, s)
	c.ConfigResetStat(t.Context())
	var left, holders atomic.Int32
	left.Store(waiters)
	var all sync.WaitGroup
	for i := range waiters {
		all.Go(func() {
			unlock, asked := nodes[i%3].lock(t, "it")
			defer unlock()
			if holders.Add(1) != 1 {
				t.Error("two holders at once")
			}
			defer holders.Add(-1)
			if left.Add(-1) > 0 {
				wantAsked(t, 30*time.Second, asked)
			}
		})
	}
	wantAsked(t, 30*time.Second, asked)
	time.Sleep(100 * time.Millisecond) // until all wait
	start := time.Now()
	first()
	all.Wait()
	n := commands(t, c)
	t.Logf("%d waiters on 3 nodes got the lock in %v, with %d commands", waiters, time.Since(start), n)
	if n > waiters*perHandover {
		t.Errorf("%d commands, want at most %d for each handover", n, perHandover)
	}
}

// commands returns the number of commands that the server has run, including those in scripts.
func commands(t *testing.T, c *redis.Client) (sum int) {
	for line := range strings.Lines(c.Info(t.Context(), "commandstats").Val()) {
		var calls int
		if _, rest, ok := strings.Cut(line, ":calls="); ok {
			_, _ = fmt.Sscan(strings.SplitN(rest, ",", 2)[0], &calls)
		}
		sum += calls
	}
	return sum
}

func TestAbandonedWaitersLeaveNothingBehind(t *testing.T) {
	s := servers.Redis(t)
	nodes := newNodes(t, 2, Options{URL: s.URL("redis"), LockTTL: 12 * time.Second})
	c := admin(t, s)
	unlock, _ := nodes[0].lock(t, "it")
	round := func() {
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { nodes[1].wantLocked(t, "it", 30*time.Millisecond) })
		}
		all.Wait()
	}
	round() // creates what is created once
	goroutines, conns := runtime.NumGoroutine(), len(strings.Split(c.ClientList(t.Context()).Val(), "\n"))
	for range 3 {
		round()
	}
	eventually(t, 30*time.Second, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
	if n := len(strings.Split(c.ClientList(t.Context()).Val(), "\n")); n > conns+50 { // limit of the pool
		t.Errorf("%d connections before, %d after", conns, n)
	}
	if l := nodes[1].locker; len(l.leases) != 0 || len(l.pubsub.waiting) != 0 {
		t.Errorf("%d leases and %d waiters left", len(l.leases), len(l.pubsub.waiting))
	}
	unlock()
	eventually(t, 30*time.Second, "no key is left", func() bool { return len(keys(t, c)) == 0 })
}

func TestOneFailedRenewalDoesNotInterruptTheHolder(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis"), LockTTL: 6 * time.Second})
	unlock, asked := n.lock(t, "it")
	defer unlock()
	n.faults.set(only(renewScript, 1), nil)
	select {
	case <-asked:
		t.Error("the holder was asked to release the lock")
	case <-time.After(8 * time.Second):
	}
	if admin(t, s).Exists(t.Context(), n.key("it", "lock")).Val() != 1 {
		t.Error("the lock has expired")
	}
	n.log.want(t, 1, 1)
}

func TestHolderThatCannotRenewIsAskedBeforeItsLockExpires(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis"), LockTTL: 20 * time.Second})
	unlock, asked := n.lock(t, "it")
	defer unlock()
	n.faults.set(cut, nil)
	wantAsked(t, 30*time.Second, asked)
	if ttl := admin(t, s).PTTL(t.Context(), n.key("it", "lock")).Val(); ttl <= 100*time.Millisecond {
		t.Errorf("the holder was asked with %v of its TTL left", ttl)
	}
}

func TestHolderIsNotInterruptedWhileRedisRefusesConnections(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis"), LockTTL: 4 * time.Second})
	unlock, asked := n.lock(t, "it")
	defer unlock()
	s.Kill()
	select {
	case <-asked:
		t.Error("the holder was asked to release the lock")
	case <-time.After(6 * time.Second):
	}
	s.Start()
	c := admin(t, s)
	eventually(t, 30*time.Second, "the lock is in Redis again", func() bool { return c.Exists(t.Context(), n.key("it", "lock")).Val() == 1 })
}

func TestHolderWhoseLockExpiredDoesNotReleaseTheNextHoldersLock(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	nodes := []*node{newNode(t, Options{URL: s.URL("redis"), LockTTL: 4 * time.Second}), newNode(t, Options{URL: s.URL("redis")})}
	unlock, asked := nodes[0].lock(t, "it")
	nodes[0].faults.set(cut, nil)
	var next func()
	within(t, 10*time.Second, "the next one's lock", func() { next, _ = nodes[1].lock(t, "it") })
	for len(asked) > 0 {
		<-asked
	}
	nodes[0].faults.set(nil, nil)
	wantAsked(t, 30*time.Second, asked)
	unlock()
	eventually(t, 30*time.Second, "the first node is connected again", func() bool { return nodes[0].Check(t.Context()) == nil })
	nodes[0].wantLocked(t, "it", 5*time.Second)
	next()
	within(t, 15*time.Second, "the lock after it", func() {
		unlock, _ := nodes[0].lock(t, "it")
		unlock()
	})
}

func TestAnyIDCanBeLocked(t *testing.T) {
	t.Parallel()
	nodes := newNodes(t, 2, Options{URL: servers.Redis(t).URL("redis"), LockTTL: rarePolls})
	for _, id := range []string{"*", "a*", "?[a-z]", "}", "{}", "a}b{c", "", " ", "ask me", "ä\x00\n", strings.Repeat("x", 5000)} {
		unlock, otherAsked := nodes[0].lock(t, "a"+id)
		within(t, beforeFirstPoll, "a handover", func() { handover(t, nodes[0], nodes[1], id) })
		if len(otherAsked) != 0 {
			t.Errorf("asking for %q also asked another holder", id)
		}
		unlock()
	}
}

func TestUnlockWorksAfterTheRequestContextEnds(t *testing.T) {
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis")})
	ctx, cancel := context.WithCancel(t.Context())
	unlock, err := n.locker.Lock(ctx, "it", func() {})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	unlock()
	if left := keys(t, admin(t, s)); len(left) != 0 {
		t.Errorf("keys %q are left", left)
	}
}

func TestLockReturnsErrLockedWhenTheContextEnds(t *testing.T) {
	nodes := newNodes(t, 2, Options{URL: servers.Redis(t).URL("redis"), LockTTL: rarePolls})
	unlock, _ := nodes[0].lock(t, "it")
	for _, n := range nodes {
		within(t, beforeFirstPoll, "to give up", func() { n.wantLocked(t, "it", 100*time.Millisecond) })
	}
	unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := nodes[0].locker.Lock(ctx, "it", func() {}); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("lock with a cancelled context: %v, want ErrLocked", err)
	}
	within(t, beforeFirstPoll, "the lock", func() {
		unlock, _ := nodes[1].lock(t, "it")
		unlock()
	})
	nodes[0].log.want(t, 0, 0)
}

// A lock that a cancelled waiter acquired, or acquired without getting the reply, must be
// released.
func TestLockAcquiredAfterCancellationIsReleased(t *testing.T) {
	t.Parallel()
	nodes := newNodes(t, 2, Options{URL: servers.Redis(t).URL("redis"), LockTTL: time.Minute})
	n := nodes[0]
	unlock, _ := n.lock(t, "another") // so that Redis has the scripts cached
	unlock()
	for _, lost := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		n.faults.set(nil, func(cmd redis.Cmder) error {
			if cmd.Args()[1] != lockScript.Hash() {
				return nil
			}
			cancel()
			if lost {
				return errCut
			}
			return nil
		})
		if _, err := n.locker.Lock(ctx, "it", func() {}); !errors.Is(err, storage.ErrLocked) {
			t.Errorf("lock, reply lost %v: %v, want ErrLocked", lost, err)
		}
		within(t, 15*time.Second, "the lock", func() {
			unlock, _ := nodes[1].lock(t, "it")
			unlock()
		})
	}
}

// The Redis client retries a request whose reply was lost.
func TestRetriedLockRequestIsIdempotent(t *testing.T) {
	n := newNode(t, Options{URL: servers.Redis(t).URL("redis")})
	h := newLease("it", nil)
	for range 2 {
		if got, err := n.locker.try(t.Context(), h, lockScript, 1000, 1000, "locks"); got != int64(1) {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

// A waiter's request is for the holder that it found, not for the next one.
func TestNextHolderIsNotAskedForAnEarlierWaiter(t *testing.T) {
	t.Parallel()
	nodes := newNodes(t, 3, Options{URL: servers.Redis(t).URL("redis"), LockTTL: 6 * time.Second})
	unlock, _ := nodes[0].lock(t, "it")
	nodes[2].wantLocked(t, "it", 50*time.Millisecond) // asks the holder, then gives up
	time.AfterFunc(50*time.Millisecond, unlock)
	unlock, asked := nodes[1].lock(t, "it")
	defer unlock()
	select {
	case <-asked:
		t.Error("the next holder was asked for an earlier waiter")
	case <-time.After(3 * time.Second): // past its first renewal
	}
}

func TestWaiterIsAskedOnlyAfterItAcquiresTheLock(t *testing.T) {
	t.Parallel()
	nodes := newNodes(t, 2, Options{URL: servers.Redis(t).URL("redis"), LockTTL: rarePolls})
	unlock, asked := nodes[0].lock(t, "it")
	waiterAsked, got := make(chan struct{}, 1000), make(chan func(), 1)
	go func() {
		unlock, err := nodes[1].locker.Lock(t.Context(), "it", func() { waiterAsked <- struct{}{} })
		if err != nil {
			t.Errorf("lock: %v", err)
		}
		got <- unlock
	}()
	wantAsked(t, 30*time.Second, asked)
	third := make(chan struct{})
	go func() {
		defer close(third)
		unlock, _ := nodes[1].lock(t, "it")
		unlock()
	}()
	time.Sleep(100 * time.Millisecond)
	if len(waiterAsked) > 0 {
		t.Error("a waiter was asked to release a lock that it does not hold")
	}
	unlock()
	second := <-got
	wantAsked(t, 30*time.Second, waiterAsked)
	second()
	<-third
}

func TestOnContendedMayUnlock(t *testing.T) {
	nodes := newNodes(t, 2, Options{URL: servers.Redis(t).URL("redis"), LockTTL: time.Minute})
	var unlock func()
	ready := make(chan struct{})
	unlock, err := nodes[0].locker.Lock(t.Context(), "it", func() { <-ready; unlock() })
	close(ready)
	if err != nil {
		t.Fatal(err)
	}
	within(t, 15*time.Second, "the second lock", func() {
		unlock, _ := nodes[1].lock(t, "it")
		unlock()
	})
}

func TestRenewalDoesNotReacquireAReleasedLock(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis"), LockTTL: 60 * time.Millisecond}) // renewed every 20 ms
	c := admin(t, s)
	for range 60 {
		unlock, _ := n.lock(t, "it")
		time.Sleep(18*time.Millisecond + rand.N(4*time.Millisecond))
		unlock()
		if c.Exists(t.Context(), n.key("it", "lock")).Val() != 0 {
			t.Error("the lock is held after its release")
		}
	}
}
