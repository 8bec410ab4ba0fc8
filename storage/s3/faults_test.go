package s3

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// Sizes of one or two whole parts and a shorter one.
const (
	twoCells   = layout.MinPart + 1_000_003
	threeCells = 2*layout.MinPart + 100_003
)

// plan describes how a client sends an upload.
type plan struct {
	name   string
	rec    storage.Record
	chunk  int64
	atOnce int // concurrent chunks; above 1 they are shuffled
}

var plans = []plan{
	{name: "one body", rec: storage.Record{Size: threeCells}, chunk: threeCells, atOnce: 1},
	{name: "unaligned chunks", rec: storage.Record{Size: twoCells}, chunk: 1_400_003, atOnce: 1},
	{name: "shuffled chunks at once", rec: storage.Record{ID: "chosen", Size: threeCells}, chunk: 2_100_007, atOnce: 3},
	{name: "a size set after creation", rec: storage.Record{Size: storage.Unknown}, chunk: 3_000_001, atOnce: 1},
	{name: "a small file", rec: storage.Record{Size: 70_001, Metadata: map[string]string{"long": string(make([]byte, 2000))}}, chunk: 70_001, atOnce: 1},
	{name: "a small file in chunks", rec: storage.Record{Size: 70_001}, chunk: 30_000, atOnce: 1},
	{name: "a small file with a key", rec: storage.Record{ID: "keyed", Key: "videos/it.mp4", Size: 70_001}, chunk: 70_001, atOnce: 1},
}

func (p plan) size() int64 {
	if p.rec.Size == storage.Unknown {
		return twoCells
	}
	return p.rec.Size
}

// shuffled returns the chunks in a fixed order that is not theirs.
func shuffled(chunks []ranges.Range) []ranges.Range {
	var out []ranges.Range
	for i := len(chunks) - 1; i >= 0; i -= 2 {
		out = append(out, chunks[i])
	}
	for i := len(chunks) - 2; i >= 0; i -= 2 {
		out = append(out, chunks[i])
	}
	return out
}

// run sends an upload and checks that it finishes. After a fault, every node must have all
// acknowledged data.
func (p plan) run(t *testing.T, n *node, opts Options, data []byte) *phone {
	t.Helper()
	c := &phone{t: t, node: n, data: data}
	c.create(p.rec)
	chunks := storagetest.Chunks(int64(len(data)), p.chunk)
	if p.atOnce > 1 {
		chunks = shuffled(chunks)
	}
	parallel(len(chunks), p.atOnce, func(i int) {
		before := n.wire.wasHit()
		c.send(chunks[i])
		if n.wire.wasHit() {
			c.check(n)
			if !before {
				c.checkFresh(opts)
			}
		}
	})
	if p.rec.Size == storage.Unknown {
		c.declare()
	}
	c.finish()
	return c
}

func (c *phone) declare() {
	c.t.Helper()
	for range clientAttempts {
		_, err := c.node.SetSize(c.t.Context(), c.id, int64(len(c.data)))
		if err == nil {
			return
		}
		if !storage.Transient(err) {
			c.t.Errorf("set size: %v", err)
		}
	}
}

// Each request of an upload fails: each permanently, fails although S3 executed it, loses
// its response, or is slow: the upload still finishes, no acknowledged data is lost, the
// event is delivered, and no objects are left over.
func TestAnyRequestMayGoWrong(t *testing.T) {
	useKeys(t)
	endpoint := servers.S3(t).URL("http")
	for _, p := range plans {
		data := storagetest.Content(5, p.size())
		opts := options(endpoint)
		healthy := startNode(t, opts)
		p.run(t, healthy, opts, data)
		calls := healthy.wire.calls()
		for _, op := range slices.Sorted(maps.Keys(calls)) {
			for _, nth := range occurrences(calls[op]) {
				for _, what := range outcomes {
					f := fault{op, nth, what}
					t.Run(fmt.Sprintf("%s/%s %d %s", p.name, op, nth, what), func(t *testing.T) {
						t.Parallel()
						p.runWith(t, options(endpoint), data, f)
					})
				}
			}
		}
	}
}

// occurrences returns which of n requests are tested: the first, one in the middle and the
// last.
func occurrences(n int) []int {
	return slices.Compact([]int{1, n/2 + 1, n})
}

func (p plan) runWith(t *testing.T, opts Options, data []byte, f fault) {
	n := startNode(t, opts)
	n.wire.inject(f)
	c := p.run(t, n, opts, data)
	if !n.wire.wasHit() && p.atOnce == 1 {
		t.Error("the fault was not triggered")
	}
	other := startNode(t, opts)
	c.wantFile(other)
	if c.deliveries() == 0 {
		t.Error("the finish event was not delivered")
	}
	if err := n.store.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	other.sweepLater(t)
	c.wantFile(other)
	want := []string{other.store.fileKey(storage.Record{ID: c.id, Key: p.rec.Key})}
	if p.rec.Metadata != nil || p.rec.Key != "" {
		want = append(want, other.store.doneKey(c.id))
		slices.Sort(want)
	}
	wantOnly(t, other.store, want...)
}

// The same for the requests of a deletion: the upload is deleted, whatever fails.
func TestAnyRequestOfADeletionMayFail(t *testing.T) {
	useKeys(t)
	endpoint := servers.S3(t).URL("http")
	data := storagetest.Content(6, twoCells)
	for _, op := range []string{"list", "put gone", "get layout", "abort", "put claim", "list multiparts", "head file", "delete"} {
		for _, what := range outcomes {
			t.Run(op+" "+string(what), func(t *testing.T) {
				t.Parallel()
				deleteWith(t, options(endpoint), data, fault{op, 1, what})
			})
		}
	}
}

func deleteWith(t *testing.T, opts Options, data []byte, f fault) {
	n := startNode(t, opts)
	c := &phone{t: t, node: n, data: data}
	c.create(storage.Record{Key: "videos/it.mp4", Size: twoCells})
	c.send(ranges.Of(0, layout.MinPart+7))
	n.wire.inject(f)
	err := n.Delete(t.Context(), c.id)
	for range clientAttempts {
		if err == nil || !storage.Transient(err) {
			break
		}
		err = n.Delete(t.Context(), c.id)
	}
	if err != nil && !errors.Is(err, storage.ErrGone) {
		t.Fatalf("delete: %v", err)
	}
	if !n.wire.wasHit() {
		t.Error("the fault was not triggered")
	}
	for _, node := range []*node{n, startNode(t, opts)} {
		if _, err := node.Get(t.Context(), c.id); !errors.Is(err, storage.ErrGone) {
			t.Errorf("get: %v, want ErrGone", err)
		}
	}
	startNode(t, opts).sweepLater(t)
	wantOnly(t, n.store)
}
