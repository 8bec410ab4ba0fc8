package s3

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// slowReader is a reader that yields little at a time.
type slowReader struct{ io.Reader }

// Read implements io.Reader.
func (s slowReader) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return s.Reader.Read(p[:min(len(p), 40_000)])
}

func TestManySlowClientsInLittleMemory(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	opts := bucket(t)
	opts.Memory = 4 * blockSize
	n := startNode(t, opts)
	parallel(50, 50, func(i int) {
		size := int64(600_007)
		if i%10 == 0 {
			size = twoCells
		}
		c := &phone{t: t, node: n, data: storagetest.Content(uint64(i), size)}
		c.create(storage.Record{Size: size})
		for _, r := range []ranges.Range{{Start: 0, End: size / 3}, {Start: size / 3, End: size}} {
			src := slowReader{chunk(c.data, r).Body}
			if up, err := n.Write(t.Context(), c.id, storage.Chunk{Offset: r.Start, Body: src}); err != nil || !up.Has(r) {
				t.Errorf("write %v: %v", r, err)
			}
		}
		c.wantFile(n)
	})
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("temporary files left behind: %v %v", left, err)
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if name, _ := os.Readlink(fd); strings.HasPrefix(name, dir) {
			t.Errorf("a temporary file is still open: %s", name)
		}
	}
}

// The cached tail of a chunk must hold the stored bytes, even when another node has stored
// other bytes there.
func TestATailIsNotCachedWhereAnotherNodeHasWritten(t *testing.T) {
	opts := bucket(t)
	one, two := startNode(t, opts), startNode(t, opts)
	first, second := storagetest.Content(1, threeCells), storagetest.Content(2, threeCells)
	c := &phone{t: t, node: one, data: first}
	c.create(storage.Record{Size: threeCells})
	c.send(ranges.Of(1000, 1000))
	// The second writer finds some bytes stored already, and drops its own.
	if _, err := two.Write(t.Context(), c.id, chunk(second, ranges.Of(0, 3000))); err != nil {
		t.Fatal(err)
	}
	for _, r := range []ranges.Range{{Start: 3000, End: 2 * layout.MinPart}, {Start: 2 * layout.MinPart, End: threeCells}} {
		if _, err := two.Write(t.Context(), c.id, chunk(second, r)); err != nil {
			t.Fatal(err)
		}
	}
	c.data = second
	copy(c.data[1000:2000], first[1000:2000])
	c.wantFile(two)
	c.wantFile(startNode(t, opts))
}

// An id may be reused once its deletion mark is removed. The cached tail and layout of the
// old upload must not be used for the new one.
func TestACachedTailOfAnEarlierUploadWithTheSameIDIsNotUsed(t *testing.T) {
	opts := bucket(t)
	one, two := startNode(t, opts), startNode(t, opts)
	c := &phone{t: t, node: one, data: storagetest.Content(1, threeCells)}
	c.create(storage.Record{ID: "again", Size: threeCells})
	c.send(ranges.Of(layout.MinPart, layout.MinPart)) // one caches the layout
	c.send(ranges.Of(0, 3000))                        // and this tail
	if err := two.Delete(t.Context(), "again"); err != nil {
		t.Fatal(err)
	}
	if err := two.store.Clean(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	third := startNode(t, opts)
	c = &phone{t: t, node: third, data: storagetest.Content(2, threeCells)}
	c.create(storage.Record{ID: "again", Size: threeCells})
	c.send(ranges.Of(0, 3000))
	c.node = &node{store: one.store, wire: one.wire, delivered: map[string]int{}}
	c.node.Uploads = storage.New(one.store, new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{})
	c.send(ranges.Range{Start: 3000, End: 2 * layout.MinPart})
	c.send(ranges.Range{Start: 2 * layout.MinPart, End: threeCells})
	c.finish()
}
