package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// F31: the answer to an Append, and to the Get before it, holds only what is new.
func TestF31AnswersDoNotGrowWithTheUpload(t *testing.T) {
	const slot, most = 5 << 20, 1 << 10
	s := servers.Redis(t)
	c := admin(t, s)
	nodes := newNodes(t, 2, Options{URL: s.URL("redis"), heartbeatInterval: time.Minute})
	up := inParts(9_900, slot)
	nodes[0].put(t, up)
	for _, n := range nodes {
		if _, err := n.cache.Get(t.Context(), up.ID); err != nil {
			t.Fatal(err)
		}
	}
	const calls = 60
	before := sent(t, c)
	for i := range calls {
		n := nodes[i/3%2].cache
		if _, err := n.Get(t.Context(), up.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Append(t.Context(), up.ID, part(9_900+i, slot)); err != nil {
			t.Fatal(err)
		}
	}
	bytes := (sent(t, c) - before) / (2 * calls)
	t.Logf("an answer has %d bytes beside 9,900 parts", bytes)
	if bytes > most {
		t.Errorf("%d bytes, want at most %d", bytes, most)
	}
}

// sent returns how many bytes the server has sent.
func sent(t *testing.T, c *redis.Client) (bytes int64) {
	t.Helper()
	for line := range strings.Lines(c.Info(t.Context(), "stats").Val()) {
		if value, ok := strings.CutPrefix(line, "total_net_output_bytes:"); ok {
			_, _ = fmt.Sscan(value, &bytes)
		}
	}
	return bytes
}

// Changes that later ones supersede are not kept for ever.
func TestSupersededChangesAreDropped(t *testing.T) {
	s := servers.Redis(t)
	c := admin(t, s)
	nodes := newNodes(t, 2, Options{URL: s.URL("redis")})
	up := upload(storage.NewID())
	up.Size = 1 << 20
	nodes[0].put(t, up)
	for i := range int64(3000) {
		p := storage.Extent{Range: ranges.Of(i, 1)}
		up.Add(p)
		if _, err := nodes[i/100%2].cache.Append(t.Context(), up.ID, p); err != nil {
			t.Fatal(err)
		}
	}
	if fields := c.HLen(t.Context(), nodes[0].key(up.ID, "state")).Val(); fields > 1100 {
		t.Errorf("the state has %d fields", fields)
	}
	for _, n := range append(nodes, newNode(t, Options{URL: s.URL("redis")})) {
		if known, err := n.cache.Get(t.Context(), up.ID); err != nil || !known.Received.Equal(up.Received) {
			t.Errorf("received %v, %v; want %v", known.Received, err, up.Received)
		}
	}
}

// A node that has not asked for long gets more changes than a script can return at once.
func TestANodeThatLacksManyChangesGetsThemAll(t *testing.T) {
	const count = 9_000
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis")})
	up := upload(storage.NewID())
	up.Size = 1 << 20
	n.put(t, up)
	changes := map[string]any{"seq": count}
	for i := range int64(count) {
		p := storage.Extent{Range: ranges.Of(2*i, 1)}
		up.Add(p)
		changes[strconv.FormatInt(i+1, 10)] = extentText(p)
	}
	if err := admin(t, s).HSet(t.Context(), n.key(up.ID, "state"), changes).Err(); err != nil {
		t.Fatal(err)
	}
	if known, err := n.cache.Get(t.Context(), up.ID); err != nil || !known.Received.Equal(up.Received) {
		t.Errorf("%d ranges, %v; want %d", known.Received.Count(), err, count)
	}
}

// State that consists of its latest changes is not replaced again and again.
func TestChangesThatMatterAreNotCompacted(t *testing.T) {
	var puts atomic.Int32
	n := newNode(t, Options{URL: servers.Redis(t).URL("redis"), Observe: func(ctx context.Context, script string) (context.Context, func(error)) {
		if script == "put" {
			puts.Add(1)
		}
		return ctx, func(error) {}
	}})
	up := upload(storage.NewID())
	up.Size = 1 << 20
	n.put(t, up)
	for i := range int64(1_100) {
		n.add(t, up.ID, 2*i, 1)
	}
	if puts.Load() != 1 {
		t.Errorf("the state was replaced %d times, want once", puts.Load())
	}
}

// An id may be used again for another upload, of which as much was received.
func TestTheRecordOfALaterCreationReplacesTheEarlier(t *testing.T) {
	n := newNode(t, Options{URL: servers.Redis(t).URL("redis")})
	up := upload("it")
	n.put(t, up)
	up.Created = up.Created.Add(time.Hour)
	n.put(t, up)
	if known, err := n.cache.Get(t.Context(), "it"); err != nil || !known.Created.Equal(up.Created) {
		t.Errorf("created at %v, %v; want %v", known.Created, err, up.Created)
	}
}
