package redis

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
	"github.com/holdfast-upload/holdfast/test/logs"
	"github.com/holdfast-upload/holdfast/test/servers"
)

func TestLockerConformance(t *testing.T) { lockerSuite(t, servers.Redis(t).URL("redis")) }

func TestCacheConformance(t *testing.T) { cacheSuite(t, servers.Redis(t).URL("redis")) }

func lockerSuite(t *testing.T, url string) {
	nodes := newNodes(t, 2, Options{URL: url})
	var next atomic.Int64
	storagetest.TestLocker(t, func() storage.Locker { return nodes[next.Add(1)%2].locker })
}

func cacheSuite(t *testing.T, url string) {
	nodes := newNodes(t, 2, Options{URL: url})
	var next atomic.Int64
	storagetest.TestCache(t, func() storage.Cache { return nodes[next.Add(1)%2].cache })
}

// node is the use of Redis by one process.
type node struct {
	*Redis
	locker *Locker
	cache  *Cache
	faults *faults
	log    *lines
}

func newNodes(t *testing.T, n int, opts Options) []*node {
	nodes := make([]*node, n)
	for i := range nodes {
		nodes[i] = newNode(t, opts)
	}
	return nodes
}

func newNode(t *testing.T, opts Options) *node {
	t.Helper()
	n := &node{faults: &faults{}, log: &lines{}}
	if opts.timeout == 0 {
		opts.timeout = 20 * time.Second // tolerates a busy machine
	}
	if opts.heartbeatInterval == 0 {
		opts.heartbeatInterval = time.Hour // so that only the test calls Redis
	}
	if opts.probeInterval == 0 {
		opts.probeInterval = 100 * time.Millisecond
	}
	opts.recovery = 300 * time.Millisecond
	opts.Prefix, opts.Log = "holdfast:", slog.New(slog.NewTextHandler(n.log, nil))
	var err error
	if n.Redis, err = Connect(opts); err != nil {
		t.Fatal(err)
	}
	if opts.heartbeatInterval == time.Hour {
		n.nodes.isolatedAfter = 0 // do not wait for other nodes to notice
	}
	n.client.AddHook(n.faults)
	n.locker, n.cache = NewLocker(n.Redis), NewCache(n.Redis)
	t.Cleanup(func() {
		n.locker.Close()
		_ = n.Close()
	})
	return n
}

// lock takes a lock, and returns a channel that receives when the holder is asked to release
// it.
func (n *node) lock(t *testing.T, id string) (unlock func(), asked <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ask := make(chan struct{}, 1000)
	unlock, err := n.locker.Lock(ctx, id, func() { ask <- struct{}{} })
	if err != nil {
		t.Errorf("lock %q: %v", id, err)
		return func() {}, ask
	}
	return unlock, ask
}

// wantUsed waits until a node uses Redis and trusts the cache.
func (n *node) wantUsed(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, "Redis is used again", func() bool {
		return n.Check(t.Context()) == nil && !n.health.recovering()
	})
}

// wantLocked checks that the lock cannot be acquired for a while.
func (n *node) wantLocked(t *testing.T, id string, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	unlock, err := n.locker.Lock(ctx, id, func() {})
	if err == nil {
		unlock()
	}
	if !errors.Is(err, storage.ErrLocked) {
		t.Errorf("lock %q: %v, want ErrLocked", id, err)
	}
}

// wantAsked waits until a holder is asked to release its lock.
func wantAsked(t *testing.T, d time.Duration, asked <-chan struct{}) {
	t.Helper()
	select {
	case <-asked:
	case <-time.After(d):
		t.Errorf("the holder was not asked within %v", d)
	}
}

// handover checks that another node gets the lock after asking for it.
func handover(t *testing.T, from, to *node, id string) {
	t.Helper()
	unlock, asked := from.lock(t, id)
	got := make(chan struct{})
	go func() {
		defer close(got)
		unlock, _ := to.lock(t, id)
		unlock()
	}()
	wantAsked(t, 30*time.Second, asked)
	unlock()
	<-got
}

// within checks that run takes at most d.
func within(t *testing.T, d time.Duration, what string, run func()) {
	t.Helper()
	start := time.Now()
	run()
	if took := time.Since(start); took > d {
		t.Errorf("%s took %v, want at most %v", what, took, d)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, d time.Duration, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(d); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain until %s", d, what)
		}
	}
}

// admin returns a client for the test itself.
func admin(t *testing.T, s *servers.Server) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// keys returns the keys in Redis, except those of probes and of the node list, which may be
// created at any time.
func keys(t *testing.T, c *redis.Client) []string {
	t.Helper()
	all, err := c.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Error(err)
	}
	return slices.DeleteFunc(all, func(key string) bool {
		return strings.HasSuffix(key, ":probe") || strings.HasPrefix(key, "holdfast:{id:}:")
	})
}

// faults makes the calls of a node fail, before or after they have run.
type faults struct {
	mu            sync.Mutex
	before, after func(redis.Cmder) error
}

func (f *faults) set(before, after func(redis.Cmder) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

func (f *faults) get() (before, after func(redis.Cmder) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.before, f.after
}

func (f *faults) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *faults) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (f *faults) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		before, after := f.get()
		if before != nil {
			if err := before(cmd); err != nil {
				cmd.SetErr(err)
				return err
			}
		}
		err := next(ctx, cmd)
		if err == nil && after != nil {
			err = after(cmd)
			cmd.SetErr(err)
		}
		return err
	}
}

var errCut = errors.New("the network is cut")

// cut fails every call.
func cut(redis.Cmder) error { return errCut }

// only fails the runs of one script.
func only(s *script, times int) func(redis.Cmder) error {
	return func(cmd redis.Cmder) error {
		if args := cmd.Args(); len(args) > 1 && args[1] == s.Hash() && times > 0 {
			times--
			return errCut
		}
		return nil
	}
}

// lines counts what is logged.
type lines struct{ logs.Buffer }

// want checks how often it was logged that Redis went down, and that it recovered.
func (l *lines) want(t *testing.T, down, up int) {
	t.Helper()
	if l.Count("Redis does not answer") != down || l.Count("Redis answers again") != up {
		t.Errorf("logged:\n%s\nwant %d times that it went down, %d times that it came back", l, down, up)
	}
}
