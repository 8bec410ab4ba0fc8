package redis

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// beat is how often the nodes of these tests report: more often than in production, so
// that less has to be waited for.
const beat = 100 * time.Millisecond

// core is an upload service of one node, over a store that all share.
type core struct {
	*storage.Uploads
	*node
	memory *storagetest.Memory
}

func newCore(t *testing.T, memory *storagetest.Memory, url string) *core {
	t.Helper()
	n := newNode(t, Options{URL: url, timeout: time.Second, heartbeatInterval: beat})
	c := &core{node: n, memory: memory}
	c.Uploads = storage.New(memory, n.locker, n.index, storage.Options{Log: slog.New(slog.DiscardHandler)})
	return c
}

// twoCores are two nodes, of which the first reaches Redis by the link.
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

// mustWrite writes n bytes, and returns once that is acknowledged.
func (c *core) mustWrite(t *testing.T, id string, offset, n int64) {
	t.Helper()
	data := storagetest.Content(1, partitionSize)
	up, err := c.Write(t.Context(), id, offset, bytes.NewReader(data[offset:offset+n]))
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

// wantWarm waits until what Redis says is believed: then the store is not asked.
func (c *core) wantWarm(t *testing.T, id string) {
	t.Helper()
	eventually(t, 30*time.Second, "Redis is believed", func() bool {
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

// Promise 2: what one node has acknowledged no other one takes back, whichever of them
// reaches Redis. The same for a deletion.
func TestANodeThatIsCutOffFromRedisIsNotContradictedByTheOthers(t *testing.T) {
	for name, silent := range map[string]bool{"connections break": false, "connections fall silent": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cut, other, l, _ := twoCores(t)
			other.mustCreate(t, "it", "deleted")
			cut.mustWrite(t, "it", 0, 100)
			other.wantAtLeast(t, "it", 100)
			other.wantWarm(t, "it")
			other.wantWarm(t, "deleted")
			cut.wantWarm(t, "it")
			l.cut(silent)
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
				t.Errorf("what was deleted: %v, want ErrGone", err)
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

// What only reads says the same as what writes: a state that a node has shown, no other
// one is behind.
func TestWhatANodeThatIsCutOffShowsIsShownByTheOthers(t *testing.T) {
	t.Parallel()
	cut, other, l, _ := twoCores(t)
	other.mustCreate(t, "it")
	other.wantWarm(t, "it")
	l.cut(false)
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = cut.Write(t.Context(), "it", 0, bytes.NewReader(make([]byte, 100)))
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

// Redis gone means slower, not down: nothing fails, and nothing goes back.
func TestNodesThatHaveAllLostRedisGoOn(t *testing.T) {
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

// A node that goes says so, and costs the others nothing. One that dies is waited for,
// and what Redis was told while it may have been alive is not believed afterwards.
func TestANodeThatLeavesIsNotWaitedForAndOneThatDiesIsForAWhile(t *testing.T) {
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
	if err := other.index.checkTrusted(t.Context()); err != nil {
		t.Errorf("after a node has left: %v", err)
	}

	cut.wantWarm(t, "it")
	other.nodes.mu.Lock()
	other.nodes.forget = 20 * beat
	other.nodes.mu.Unlock()
	begun, err := other.index.Generation(t.Context(), "it")
	if err != nil {
		t.Fatal(err)
	}
	l.cut(false) // it never comes back
	eventually(t, 30*time.Second, "it is missed", func() bool { return other.index.checkTrusted(t.Context()) != nil })
	if _, err := other.index.Get(t.Context(), "it"); err == nil {
		t.Error("Redis is believed although a node is missing")
	}
	eventually(t, 30*time.Second, "it is not waited for any more", func() bool { return other.index.checkTrusted(t.Context()) == nil })
	if up, err := other.index.Store(t.Context(), begun, upload("it")); err == nil {
		t.Errorf("what was loaded before is taken: %v", up.Received)
	}
	if _, err := other.index.Get(t.Context(), "it"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("what Redis was told before: %v, want ErrNotFound", err)
	}
	other.wantWarm(t, "it")
}

// Redis may forget the nodes too: those who have seen one that is cut off remember it.
func TestANodeThatIsCutOffWhenRedisForgetsIsStillMissed(t *testing.T) {
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

// A report that is on its way for long, as one is that a broken network still holds,
// counts no more.
func TestAReportThatComesLateIsNotCounted(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis")})
	if err := n.index.checkTrusted(t.Context()); err != nil {
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
		t.Errorf("it counts until %v, before %v", after, before)
	}
}

// A node that could not keep all that Redis missed has everything forgotten before it
// counts as there again.
func TestWhatRedisMissedAndCouldNotBeKeptIsForgottenWithAllElse(t *testing.T) {
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
		t.Error("nothing was lost")
	}
	l.mend()
	cut.wantUsed(t)
	other.wantAtLeast(t, "it", 200)
	other.wantWarm(t, "it")
	other.wantAtLeast(t, "it", 200)
}

// What was told in another epoch counts for nobody, whichever of the two is the newer.
func TestAStateOfAnotherEpochIsNotBelieved(t *testing.T) {
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
		if _, err := n.index.Append(t.Context(), "it", storage.Extent{Range: ranges.Of(0, 10)}); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("add: %v, want ErrNotFound", err)
		}
	}
}

// A node whose own reports are held up does not go by what it knew of the others before.
func TestANodeThatHasNotAskedLatelyAsksBeforeItBelieves(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	l := newLink(t, s.Addr)
	memory := storagetest.NewMemory(100)
	cut := newCore(t, memory, l.url())
	n := newNode(t, Options{URL: s.URL("redis")}) // it reports by itself after an hour
	n.nodes.mu.Lock()
	n.nodes.valid = 3 * beat
	n.nodes.mu.Unlock()
	other := &core{node: n, memory: memory.Node()}
	other.Uploads = storage.New(other.memory, n.locker, n.index, storage.Options{Log: slog.New(slog.DiscardHandler)})
	other.mustCreate(t, "it")
	cut.mustWrite(t, "it", 0, 100)
	other.wantWarm(t, "it")
	l.cut(false)
	cut.mustWrite(t, "it", 100, 100)
	other.wantAtLeast(t, "it", 200)
}
