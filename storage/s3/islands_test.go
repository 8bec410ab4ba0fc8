package s3

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// islands returns an upload of which a slot has count fragments of one byte, with a gap
// between any two, and where there may be more of them.
func islands(t *testing.T, n *node, count int64) (c *phone, free []int64) {
	t.Helper()
	const apart = 200
	c = &phone{t: t, node: n, data: storagetest.Content(8, twoCells)}
	c.create(storage.Record{Size: twoCells})
	cache := new(storage.MemoryCache)
	up := mustLoad(t, n, c.id)
	for i := range count {
		up.Add(layout.WithSum(layout.NewFragment(ranges.Of(i*apart, 1), ""), 0))
		free = append(free, i*apart+apart/2)
	}
	generation, err := cache.Generation(t.Context(), c.id)
	if err == nil {
		_, err = cache.Store(t.Context(), generation, up)
	}
	if err != nil {
		t.Fatal(err)
	}
	n.Uploads = n.core(cache)
	return c, free
}

// F31: a chunk of one byte costs one request, and no more work after 9,000 others than after
// a hundred.
func TestF31WorkForAnIslandDoesNotGrowWithTheirNumber(t *testing.T) {
	const chunks = 100
	opts := bucket(t)
	var objects, bytes [2]uint64
	for i, count := range []int64{100, 9000} {
		n := startNode(t, opts)
		c, free := islands(t, n, count)
		rnd := rand.New(rand.NewPCG(1, 2))
		rnd.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
		n.wire.reset()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, offset := range free[:chunks] {
			c.send(ranges.Of(offset, 1))
		}
		runtime.ReadMemStats(&after)
		objects[i], bytes[i] = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
		if calls := n.wire.calls(); len(calls) != 1 || calls["put fragment"] != chunks {
			t.Errorf("with %d islands, %d chunks: requests %v", count, chunks, calls)
		}
	}
	t.Logf("a chunk allocates %d objects of %d bytes beside 100 islands, %d of %d beside 9,000", objects[0]/chunks, bytes[0]/chunks, objects[1]/chunks, bytes[1]/chunks)
	if objects[1] > 3*objects[0] || bytes[1] > 3*bytes[0] {
		t.Error("the work grows more than three times")
	}
}
