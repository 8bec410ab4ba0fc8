package redis

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/test/servers"
)

func upload(id string) storage.Upload {
	return storage.Upload{Record: storage.Record{ID: id, Size: 1000}, ModifiedAt: time.Now()}
}

func (n *node) put(t *testing.T, up storage.Upload) {
	t.Helper()
	if _, err := n.tryPut(t, up); err != nil {
		t.Errorf("put: %v", err)
	}
}

// tryPut stores an upload as if it were loaded now.
func (n *node) tryPut(t *testing.T, up storage.Upload) (storage.Upload, error) {
	t.Helper()
	begun, err := n.cache.Generation(t.Context(), up.ID)
	if err != nil {
		return storage.Upload{}, err
	}
	return n.cache.Store(t.Context(), begun, up)
}

func (n *node) add(t *testing.T, id string, start, length int64) {
	t.Helper()
	if _, err := n.cache.Append(t.Context(), id, storage.Extent{Range: ranges.Of(start, length)}); err != nil {
		t.Errorf("add: %v", err)
	}
}

// wantOffset checks the cached offset of an upload, -1 if it is not cached.
func (n *node) wantOffset(t *testing.T, id string, want int64) {
	t.Helper()
	up, err := n.cache.Get(t.Context(), id)
	if want == -1 {
		if !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("get: %v, offset %d; want ErrNotFound", err, up.Offset())
		}
	} else if err != nil || up.Offset() != want {
		t.Errorf("get: %v, offset %d; want %d", err, up.Offset(), want)
	}
}

func (n *node) setRecovery(d time.Duration) {
	n.health.mu.Lock()
	defer n.health.mu.Unlock()
	n.health.recovery = d
}

// wantNothing checks that cache calls fail because Redis is down.
func (n *node) wantNothing(t *testing.T, id string) {
	t.Helper()
	_, getErr := n.cache.Get(t.Context(), id)
	_, beginErr := n.cache.Generation(t.Context(), id)
	_, putErr := n.cache.Store(t.Context(), "", upload(id))
	_, addErr := n.cache.Append(t.Context(), id, storage.Extent{Range: ranges.Of(0, 1)})
	for what, err := range map[string]error{
		"get": getErr, "begin": beginErr, "put": putErr, "add": addErr, "drop": n.cache.Invalidate(t.Context(), id), "check": n.Check(t.Context()),
	} {
		if err == nil || errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrGone) {
			t.Errorf("%s while Redis is down: %v", what, err)
		}
	}
}

func TestNodesWorkDuringARedisOutage(t *testing.T) {
	for name, c := range map[string]struct{ down, up func(*servers.Server) }{
		"killed":  {(*servers.Server).Kill, (*servers.Server).Start},
		"stopped": {func(s *servers.Server) { s.Signal(syscall.SIGSTOP) }, func(s *servers.Server) { s.Signal(syscall.SIGCONT) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := servers.Redis(t)
			nodes := newNodes(t, 2, Options{URL: s.URL("redis"), LockTTL: 3 * time.Second, timeout: 2 * time.Second})
			held, _ := nodes[0].lock(t, "it")
			nodes[0].put(t, upload("it"))
			c.down(s)
			within(t, 10*time.Second, "the first to find out", func() { nodes[1].wantNothing(t, "it") })
			within(t, 10*time.Second, "the second to find out", func() { nodes[0].wantNothing(t, "it") })
			within(t, 15*time.Second, "30 rounds without Redis", func() {
				for range 30 {
					nodes[1].wantNothing(t, "it")
					unlock, _ := nodes[1].lock(t, "it")
					unlock()
				}
			})
			unlock, _ := nodes[1].lock(t, "it")
			nodes[1].wantLocked(t, "it", 50*time.Millisecond) // it is locked within the node
			unlock()
			for _, n := range nodes {
				n.setRecovery(time.Hour)
			}
			c.up(s)
			for _, n := range nodes {
				eventually(t, 30*time.Second, "Redis is used again", func() bool { return n.Check(t.Context()) == nil })
				n.log.want(t, 1, 1)
				if _, err := n.tryPut(t, upload("it")); err == nil {
					t.Error("the cache is trusted at once")
				}
			}
			for _, n := range nodes {
				n.setRecovery(100 * time.Millisecond)
				eventually(t, 30*time.Second, "the cache is trusted again", func() bool { return !n.health.recovering() })
			}
			nodes[0].put(t, upload("it"))
			nodes[1].wantOffset(t, "it", 0)
			eventually(t, 30*time.Second, "the lock is in Redis again", func() bool {
				return nodes[0].client.Exists(t.Context(), nodes[0].key("it", "lock")).Val() == 1
			})
			nodes[1].wantLocked(t, "it", 100*time.Millisecond)
			held()
		})
	}
}

func TestNodeStartsWhileRedisIsDown(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	s.Kill()
	var n *node
	within(t, 10*time.Second, "to start", func() { n = newNode(t, Options{URL: s.URL("redis")}) })
	n.wantNothing(t, "it")
	unlock, _ := n.lock(t, "it")
	unlock()
	s.Start()
	eventually(t, 30*time.Second, "Redis is used", func() bool { return n.Check(t.Context()) == nil })
	n.log.want(t, 1, 1)
	c := admin(t, s)
	eventually(t, 30*time.Second, "the node is subscribed", func() bool {
		return c.PubSubNumSub(t.Context(), "holdfast:locks").Val()["holdfast:locks"] == 1
	})
}

func TestConnectToAHangingRedisIsBounded(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	s.Signal(syscall.SIGSTOP)
	within(t, 10*time.Second, "to start", func() { newNode(t, Options{URL: s.URL("redis"), timeout: 2 * time.Second}).wantNothing(t, "it") })
}

func TestFullRedisCountsAsDown(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	c := admin(t, s)
	n := newNode(t, Options{URL: s.URL("redis")})
	c.ConfigSet(t.Context(), "maxmemory", "1")
	for range 30 {
		if _, err := n.tryPut(t, upload("it")); err == nil {
			t.Error("store in a full Redis: no error")
		}
		time.Sleep(20 * time.Millisecond)
	}
	n.log.want(t, 1, 0)
	c.ConfigSet(t.Context(), "maxmemory", "0")
	eventually(t, 30*time.Second, "Redis is used again", func() bool { return n.Check(t.Context()) == nil })
}

func TestRedisMayLoseAllDataAtAnyTime(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	c := admin(t, s)
	nodes := newNodes(t, 2, Options{URL: s.URL("redis"), LockTTL: 15 * time.Second})
	unlock, asked := nodes[0].lock(t, "it")
	up := upload("it")
	nodes[0].put(t, up)
	c.FlushAll(t.Context())
	c.ScriptFlush(t.Context())
	nodes[1].wantOffset(t, "it", -1)
	if _, err := nodes[0].cache.Append(t.Context(), "it", storage.Extent{Range: ranges.Of(0, 1)}); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("add: %v, want ErrNotFound", err)
	}
	nodes[0].put(t, up)
	nodes[1].wantOffset(t, "it", 0)
	eventually(t, 30*time.Second, "the lock is in Redis again", func() bool { return c.Exists(t.Context(), nodes[0].key("it", "lock")).Val() == 1 })
	if len(asked) != 0 {
		t.Error("the holder was asked to release the lock")
	}
	nodes[1].wantLocked(t, "it", 100*time.Millisecond)
	unlock()
	nodes[0].log.want(t, 0, 0)
}

// State loaded before Redis lost its data may lack what others have appended since.
func TestStateLoadedBeforeRedisLostDataIsNotStored(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	c := admin(t, s)
	nodes := newNodes(t, 2, Options{URL: s.URL("redis")})
	for name, forget := range map[string]func(id string){
		"all":         func(string) { c.FlushAll(t.Context()) },
		"one upload":  func(id string) { c.Del(t.Context(), nodes[0].key(id, "state")) },
		"and resumed": func(id string) { c.FlushAll(t.Context()); nodes[1].put(t, upload(id)) },
		"restarted": func(id string) {
			c.HSet(t.Context(), nodes[0].key(id, "state"), "run", "that before")
		},
	} {
		t.Run(name, func(t *testing.T) {
			id := storage.NewID()
			begun, err := nodes[0].cache.Generation(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			nodes[1].put(t, upload(id))
			nodes[1].add(t, id, 0, 10)
			forget(id)
			if known, err := nodes[0].cache.Store(t.Context(), begun, upload(id)); err == nil {
				t.Errorf("stale state was stored: %v", known.Received)
			}
			nodes[0].put(t, upload(id))
		})
	}
	nodes[0].log.want(t, 0, 0)
}

// Several nodes may load the same upload at once, and all may store it.
func TestConcurrentLoadsOfOneGenerationAreAllStored(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	nodes := newNodes(t, 2, Options{URL: s.URL("redis")})
	var begun [2]string
	for i, n := range nodes {
		var err error
		if begun[i], err = n.cache.Generation(t.Context(), "it"); err != nil {
			t.Fatal(err)
		}
		n.wantOffset(t, "it", -1)
	}
	if ttl := admin(t, s).PTTL(t.Context(), nodes[0].key("it", "state")).Val(); ttl <= 0 || ttl > generationTTL {
		t.Errorf("the TTL of a generation is %v, want %v", ttl, generationTTL)
	}
	for i, n := range nodes {
		if _, err := n.cache.Store(t.Context(), begun[i], upload("it")); err != nil {
			t.Errorf("put %d: %v", i, err)
		}
		n.add(t, "it", int64(10*i), 10)
	}
	nodes[0].wantOffset(t, "it", 20)
}

// An idle node must notice an outage, too: it must not trust what Redis said before.
func TestAnIdleNodeNoticesARedisOutage(t *testing.T) {
	for name, away := range map[string]func(*servers.Server){
		"killed":  (*servers.Server).Kill,
		"stopped": func(s *servers.Server) { s.Signal(syscall.SIGSTOP) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := servers.Redis(t)
			n := newNode(t, Options{URL: s.URL("redis"), timeout: time.Second, heartbeatInterval: time.Second})
			away(s)
			eventually(t, 30*time.Second, "the node notices", func() bool { return n.health.down() != nil })
		})
	}
}

// Redis is back. One node has noticed; another has not, and acknowledges an extent. What the
// first loaded before must not be cached.
func TestANodeThatMissedTheRecoveryInvalidatesTheCacheForOthers(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis"), probeInterval: time.Hour}) // it does not notice that Redis is back
	other := newNode(t, Options{URL: s.URL("redis")})
	s.Kill()
	n.wantNothing(t, "it")
	s.Start()
	begun, err := other.cache.Generation(t.Context(), "it")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.cache.Store(t.Context(), begun, upload("it")); err != nil {
		t.Fatal(err)
	}
	if _, err := n.cache.Append(t.Context(), "it", storage.Extent{Range: ranges.Of(0, 10)}); err == nil {
		t.Error("append: no error although Redis is down for this node")
	}
	other.wantOffset(t, "it", -1)
	if _, err := other.cache.Store(t.Context(), begun, upload("it")); err == nil {
		t.Error("stored state that was loaded before the append")
	}
}

// A node that does not trust the cache shows a client what it has loaded. What another has loaded
// before must not be shown after it.
func TestANodeThatDoesNotTrustTheCacheInvalidatesItForOthers(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	nodes := newNodes(t, 2, Options{URL: s.URL("redis")})
	for name, late := range map[string]bool{"stored before": false, "stored after": true} {
		begun, err := nodes[0].cache.Generation(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		store := func() error {
			_, err := nodes[0].cache.Store(t.Context(), begun, upload(name))
			return err
		}
		if !late {
			if err := store(); err != nil {
				t.Fatal(err)
			}
		}
		nodes[1].distrust(time.Hour)
		if _, err := nodes[1].tryPut(t, upload(name)); err == nil {
			t.Error("stored in a cache that is not trusted")
		}
		nodes[1].distrust(0)
		if late && store() == nil {
			t.Error("stored what was loaded before")
		}
		nodes[0].wantOffset(t, name, -1)
	}
}

// distrust has a node behave as if it had just noticed that Redis is back, for a while.
func (n *node) distrust(d time.Duration) {
	n.health.mu.Lock()
	defer n.health.mu.Unlock()
	n.health.recovery, n.health.recoveredAt = d, time.Now()
}

// An acknowledged range must not be missing from the cache later.
func TestMissedUpdatesAreInvalidatedBeforeTheCacheIsUsed(t *testing.T) {
	for name, miss := range map[string]func(*node) error{
		"add": func(n *node) error {
			_, err := n.cache.Append(context.Background(), "it", storage.Extent{Range: ranges.Of(0, 10)})
			return err
		},
		"put":  func(n *node) error { _, err := n.cache.Store(context.Background(), "", upload("it")); return err },
		"drop": func(n *node) error { return n.cache.Invalidate(context.Background(), "it") },
	} {
		for _, known := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				n := newNode(t, Options{URL: servers.Redis(t).URL("redis")})
				n.put(t, upload("it"))
				n.put(t, upload("other"))
				n.faults.set(cut, nil)
				if known {
					_, _ = n.cache.Get(t.Context(), "other")
				}
				if err := miss(n); err == nil {
					t.Error("no error while partitioned from Redis")
				}
				n.faults.set(nil, nil)
				eventually(t, 30*time.Second, "Redis is used again", func() bool {
					_, err := n.cache.Get(t.Context(), "it")
					return err == nil || errors.Is(err, storage.ErrNotFound)
				})
				n.wantOffset(t, "it", -1)
				n.wantOffset(t, "other", 0)
			})
		}
	}
}

// The same if Redis is lost after Store has read the state.
func TestAStoreThatFailsHalfwayIsCompensated(t *testing.T) {
	t.Parallel()
	var n *node
	var cutOff atomic.Bool
	n = newNode(t, Options{URL: servers.Redis(t).URL("redis"), Observe: func(ctx context.Context, script string) (context.Context, func(error)) {
		if script == "put" && cutOff.Load() {
			n.faults.set(cut, nil)
		}
		return ctx, func(error) {}
	}})
	n.put(t, upload("it"))
	loaded := upload("it")
	loaded.Received.Add(ranges.Of(0, 10))
	generation, err := n.cache.Generation(t.Context(), "it")
	if err != nil {
		t.Fatal(err)
	}
	cutOff.Store(true)
	if _, err := n.cache.Store(t.Context(), generation, loaded); err == nil {
		t.Error("no error while partitioned from Redis")
	}
	cutOff.Store(false)
	n.faults.set(nil, nil)
	eventually(t, 30*time.Second, "Redis is used again", func() bool {
		_, err := n.cache.Get(t.Context(), "it")
		return err == nil || errors.Is(err, storage.ErrNotFound)
	})
	n.wantOffset(t, "it", -1)
}

func TestFailedUnlockIsRetriedAfterRecovery(t *testing.T) {
	t.Parallel()
	nodes := newNodes(t, 2, Options{URL: servers.Redis(t).URL("redis")})
	unlock, _ := nodes[0].lock(t, "it")
	nodes[0].faults.set(cut, nil)
	unlock()
	nodes[0].faults.set(nil, nil)
	within(t, 8*time.Second, "the second lock", func() {
		unlock, _ := nodes[1].lock(t, "it")
		unlock()
	})
}

func TestOneOfTwoHoldersIsAskedAfterRecovery(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	nodes := newNodes(t, 2, Options{URL: s.URL("redis"), LockTTL: 4 * time.Second})
	s.Kill()
	var asked [2]<-chan struct{}
	for i, n := range nodes {
		var unlock func()
		unlock, asked[i] = n.lock(t, "it")
		defer unlock()
	}
	s.Start()
	eventually(t, 30*time.Second, "one is asked", func() bool { return len(asked[0])+len(asked[1]) > 0 })
	time.Sleep(500 * time.Millisecond)
	if len(asked[0]) > 0 && len(asked[1]) > 0 {
		t.Error("both holders were asked to release the lock")
	}
}
