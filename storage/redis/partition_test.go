package redis

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// link is a TCP proxy between one node and Redis, which can be cut.
type link struct {
	listener net.Listener
	to       string

	mu      sync.Mutex
	down    bool
	hanging bool // while it is down: connections stay open, but no data passes
	conns   []net.Conn
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, to: to}
	go l.serve()
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut(false)
	})
	return l
}

func (l *link) url() string { return "redis://" + l.listener.Addr().String() }

func (l *link) serve() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.join(conn)
	}
}

func (l *link) join(conn net.Conn) {
	far, err := net.Dial("tcp", l.to)
	if err != nil {
		_ = conn.Close()
		return
	}
	l.mu.Lock()
	l.conns = append(l.conns, conn, far)
	refused := l.down && !l.hanging
	l.mu.Unlock()
	if refused {
		_ = conn.Close()
		_ = far.Close()
		return
	}
	go l.pipe(far, conn)
	l.pipe(conn, far)
}

// pipe copies data, and drops it while the link hangs.
func (l *link) pipe(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		l.mu.Lock()
		lost := l.down
		l.mu.Unlock()
		if !lost {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut closes all connections, or has them hang.
func (l *link) cut(hanging bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down, l.hanging = true, hanging
	for _, c := range l.conns {
		if !hanging {
			_ = c.Close()
		}
	}
}

// mend accepts new connections. Those that hung are closed.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

// beat is how often the nodes of these tests report: more often than in production, so
// that less has to be waited for.
const beat = 100 * time.Millisecond

// core is the upload service of one node, with a store that all nodes share.
type core struct {
	*storage.Uploads
	*node
	memory *storagetest.Memory
}

func newCore(t *testing.T, memory *storagetest.Memory, url string) *core {
	t.Helper()
	n := newNode(t, Options{URL: url, timeout: time.Second, heartbeatInterval: beat})
	c := &core{node: n, memory: memory}
	c.Uploads = storage.New(memory, n.locker, n.cache, storage.Options{Log: slog.New(slog.DiscardHandler)})
	return c
}

// twoCores returns two nodes, the first connected to Redis through the link.
func twoCores(t *testing.T) (cut, other *core, l *link, s *servers.Server) {
	t.Helper()
	s = servers.Redis(t)
	l = newLink(t, s.Addr)
	memory := storagetest.NewMemory(100)
	return newCore(t, memory, l.url()), newCore(t, memory.Node(), s.URL("redis")), l, s
}

const partitionSize = 1000

func (c *core) mustCreate(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if _, err := c.Create(t.Context(), storage.Record{ID: id, Size: partitionSize}); err != nil {
			t.Fatalf("create %s: %v", id, err)
		}
	}
}

// mustWrite writes n bytes and waits for the acknowledgement.
func (c *core) mustWrite(t *testing.T, id string, offset, n int64) {
	t.Helper()
	data := storagetest.Content(1, partitionSize)
	up, err := c.Write(t.Context(), id, storage.Chunk{Offset: offset, Body: bytes.NewReader(data[offset : offset+n])})
	if err != nil || up.Offset() < offset+n {
		t.Fatalf("write at %d of %s: offset %d, %v", offset, id, up.Offset(), err)
	}
}

func (c *core) wantAtLeast(t *testing.T, id string, offset int64) {
	t.Helper()
	if up, err := c.Get(t.Context(), id); err != nil || up.Offset() < offset {
		t.Errorf("%s: offset %d, %v; %d was acknowledged", id, up.Offset(), err, offset)
	}
}

// wantWarm waits until the cache is trusted, so that the store is not read.
func (c *core) wantWarm(t *testing.T, id string) {
	t.Helper()
	eventually(t, 30*time.Second, "the cache is trusted", func() bool {
		loads := 0
		c.memory.Inject(func(op storagetest.Op) storagetest.Outcome {
			if op == storagetest.Load {
				loads++
			}
			return storagetest.Works
		})
		defer c.memory.Inject(nil)
		_, err := c.Get(t.Context(), id)
		return err == nil && loads == 0
	})
}

// Promise 2: what one node has acknowledged, deletions included, no other contradicts,
// whichever of them reaches Redis.
func TestAPartitionedNodeIsNotContradictedByTheOthers(t *testing.T) {
	for name, hanging := range map[string]bool{"connections break": false, "connections hang": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cut, other, l, _ := twoCores(t)
			other.mustCreate(t, "it", "deleted")
			cut.mustWrite(t, "it", 0, 100)
			other.wantAtLeast(t, "it", 100)
			other.wantWarm(t, "it")
			other.wantWarm(t, "deleted")
			cut.wantWarm(t, "it")
			l.cut(hanging)
			for offset := int64(100); offset < 500; offset += 200 {
				cut.mustWrite(t, "it", offset, 100)
				other.wantAtLeast(t, "it", offset+100)
				other.mustWrite(t, "it", offset+100, 100)
				cut.wantAtLeast(t, "it", offset+200)
			}
			if err := cut.Delete(t.Context(), "deleted"); err != nil {
				t.Fatalf("delete: %v", err)
			}
			if _, err := other.Get(t.Context(), "deleted"); !errors.Is(err, storage.ErrGone) {
				t.Errorf("deleted upload: %v, want ErrGone", err)
			}
			l.mend()
			cut.wantUsed(t)
			other.wantAtLeast(t, "it", 500)
			other.wantWarm(t, "it")
			cut.wantWarm(t, "it")
			other.wantAtLeast(t, "it", 500)
		})
	}
}

// Promise 2 for reads: no node shows an older state than another has shown.
func TestStateShownByAPartitionedNodeIsShownByTheOthers(t *testing.T) {
	t.Parallel()
	cut, other, l, _ := twoCores(t)
	other.mustCreate(t, "it")
	other.wantWarm(t, "it")
	l.cut(false)
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = cut.Write(t.Context(), "it", storage.Chunk{Body: bytes.NewReader(make([]byte, 100))})
	}()
	eventually(t, 30*time.Second, "the bytes are shown", func() bool {
		up, err := cut.Get(t.Context(), "it")
		if err == nil && up.Offset() > 0 {
			other.wantAtLeast(t, "it", up.Offset())
		}
		return up.Offset() == 100
	})
	<-written
}

// Without Redis nodes are slower, but nothing fails or is reverted.
func TestNodesWorkWhenAllHaveLostRedis(t *testing.T) {
	t.Parallel()
	cut, other, _, s := twoCores(t)
	cut.mustCreate(t, "it")
	cut.mustWrite(t, "it", 0, 100)
	other.wantWarm(t, "it")
	s.Kill()
	for offset := int64(100); offset < 500; offset += 200 {
		cut.mustWrite(t, "it", offset, 100)
		other.mustWrite(t, "it", offset+100, 100)
		cut.wantAtLeast(t, "it", offset+200)
	}
	s.Start()
	for _, c := range []*core{cut, other} {
		c.wantUsed(t)
		c.wantAtLeast(t, "it", 500)
		c.wantWarm(t, "it")
	}
}

// A node that shuts down deregisters, at no cost to the others. A crashed one is waited for,
// and what was cached while it may have been alive is invalidated afterwards.
func TestOnlyACrashedNodeIsWaitedForAndNotForever(t *testing.T) {
	t.Parallel()
	cut, other, l, _ := twoCores(t)
	other.mustCreate(t, "it")
	other.wantWarm(t, "it")
	leaver := newCore(t, other.memory.Node(), "redis://"+l.to)
	leaver.wantWarm(t, "it")
	leaver.locker.Close()
	if err := leaver.Redis.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	time.Sleep(10 * beat)
	if err := other.cache.checkTrusted(t.Context()); err != nil {
		t.Errorf("after a node has left: %v", err)
	}

	cut.wantWarm(t, "it")
	other.nodes.mu.Lock()
	other.nodes.forget = 20 * beat
	other.nodes.mu.Unlock()
	begun, err := other.cache.Generation(t.Context(), "it")
	if err != nil {
		t.Fatal(err)
	}
	l.cut(false) // for good
	eventually(t, 30*time.Second, "it is missing", func() bool { return other.cache.checkTrusted(t.Context()) != nil })
	if _, err := other.cache.Get(t.Context(), "it"); err == nil {
		t.Error("the cache is trusted although a node is missing")
	}
	eventually(t, 30*time.Second, "it is not waited for any more", func() bool { return other.cache.checkTrusted(t.Context()) == nil })
	if up, err := other.cache.Store(t.Context(), begun, upload("it")); err == nil {
		t.Errorf("stale state was stored: %v", up.Received)
	}
	if _, err := other.cache.Get(t.Context(), "it"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("state of the old epoch: %v, want ErrNotFound", err)
	}
	other.wantWarm(t, "it")
}

// Redis may lose the list of nodes, too: the others restore a partitioned node.
func TestAPartitionedNodeIsStillMissingAfterRedisLostItsData(t *testing.T) {
	t.Parallel()
	cut, other, l, s := twoCores(t)
	other.mustCreate(t, "it")
	other.wantWarm(t, "it")
	eventually(t, 30*time.Second, "the nodes know of each other", func() bool {
		other.nodes.mu.Lock()
		defer other.nodes.mu.Unlock()
		return len(other.nodes.others) == 1
	})
	l.cut(false)
	if err := admin(t, s).FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	other.wantAtLeast(t, "it", 0)
	cut.mustWrite(t, "it", 0, 100)
	other.wantAtLeast(t, "it", 100)
	l.mend()
	cut.wantUsed(t)
	other.wantWarm(t, "it")
	other.wantAtLeast(t, "it", 100)
}

// A report delayed for long, for example by a broken network, must not count.
func TestALateReportIsNotCounted(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis")})
	if err := n.cache.checkTrusted(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := admin(t, s)
	key := n.key("", "nodes")
	late, _ := n.reportCall()
	late.args[1] = c.Time(t.Context()).Val().UnixMilli() - 1
	before := c.ZScore(t.Context(), key, n.nodes.id).Val()
	if _, err := n.run(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if after := c.ZScore(t.Context(), key, n.nodes.id).Val(); after != before {
		t.Errorf("report expires at %v, before at %v", after, before)
	}
}

// A node that could not defer all calls invalidates the whole cache before it counts as
// present again.
func TestDeferredCallOverflowInvalidatesTheWholeCache(t *testing.T) {
	t.Parallel()
	cut, other, l, _ := twoCores(t)
	other.mustCreate(t, "it")
	other.wantWarm(t, "it")
	cut.wantWarm(t, "it")
	l.cut(false)
	cut.mustWrite(t, "it", 0, 100)
	cut.health.mu.Lock()
	clear(cut.health.deferred)
	for len(cut.health.deferred) < maxDeferred {
		id := fmt.Sprint("filler-", len(cut.health.deferred))
		cut.health.deferred[id] = call{script: probeScript, id: "", names: []string{"probe"}}
	}
	cut.health.mu.Unlock()
	cut.mustWrite(t, "it", 100, 100)
	cut.health.mu.Lock()
	lost := cut.health.overflowed
	clear(cut.health.deferred)
	cut.health.mu.Unlock()
	if !lost {
		t.Error("no calls overflowed")
	}
	l.mend()
	cut.wantUsed(t)
	other.wantAtLeast(t, "it", 200)
	other.wantWarm(t, "it")
	other.wantAtLeast(t, "it", 200)
}

// State of another epoch is ignored, whether it is older or newer.
func TestStateOfAnotherEpochIsIgnored(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis")})
	key := n.key("", "epoch")
	for _, epoch := range []string{"5", "7", "6"} {
		n.put(t, upload("it"))
		n.wantOffset(t, "it", 0)
		if err := admin(t, s).Set(t.Context(), key, epoch, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := n.report(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.wantOffset(t, "it", -1)
		if _, err := n.cache.Append(t.Context(), "it", storage.Extent{Range: ranges.Of(0, 10)}); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("add: %v, want ErrNotFound", err)
		}
	}
}

// A node whose reports are delayed must not rely on the old list of nodes.
func TestANodeRefreshesAnOldNodeListBeforeItTrustsTheCache(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	l := newLink(t, s.Addr)
	memory := storagetest.NewMemory(100)
	cut := newCore(t, memory, l.url())
	n := newNode(t, Options{URL: s.URL("redis")}) // its next heartbeat is in an hour
	n.nodes.mu.Lock()
	n.nodes.valid = 3 * beat
	n.nodes.mu.Unlock()
	other := &core{node: n, memory: memory.Node()}
	other.Uploads = storage.New(other.memory, n.locker, n.cache, storage.Options{Log: slog.New(slog.DiscardHandler)})
	other.mustCreate(t, "it")
	cut.mustWrite(t, "it", 0, 100)
	other.wantWarm(t, "it")
	l.cut(false)
	cut.mustWrite(t, "it", 100, 100)
	other.wantAtLeast(t, "it", 200)
}
