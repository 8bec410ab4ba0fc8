package disk

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// countedFS counts the bytes that are read from files.
type countedFS struct {
	fileSystem
	read atomic.Int64
}

// Open implements fileSystem.
func (c *countedFS) Open(path string) (io.ReadSeekCloser, error) {
	f, err := c.fileSystem.Open(path)
	return countedFile{f, &c.read}, err
}

type countedFile struct {
	io.ReadSeekCloser
	read *atomic.Int64
}

// Read implements io.Reader.
func (f countedFile) Read(p []byte) (int, error) {
	n, err := f.ReadSeekCloser.Read(p)
	f.read.Add(int64(n))
	return n, err
}

// F31: a chunk of one byte costs no more work after 9,000 others than after a hundred, and
// the journal is not read again.
func TestF31WorkForAnIslandDoesNotGrowWithTheirNumber(t *testing.T) {
	const count, chunks = 9000, 100
	files := &countedFS{fileSystem: osFileSystem{}}
	s, err := open(files, t.TempDir(), Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	u := storage.New(s, new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{})
	up, err := u.Create(t.Context(), storage.Record{Size: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	places := rand.New(rand.NewPCG(1, 2)).Perm(count)
	var objects, allocated []uint64
	var stats runtime.MemStats
	for i, place := range places {
		if i%chunks == 0 {
			runtime.ReadMemStats(&stats)
			objects, allocated = append(objects, stats.Mallocs), append(allocated, stats.TotalAlloc)
		}
		if _, err := u.Write(t.Context(), up.ID, storage.Chunk{Offset: int64(place) * 100, Body: bytes.NewReader([]byte{1})}); err != nil {
			t.Fatal(err)
		}
	}
	last := len(objects) - 1
	few, many := objects[1]-objects[0], objects[last]-objects[last-1]
	fewBytes, manyBytes := allocated[1]-allocated[0], allocated[last]-allocated[last-1]
	t.Logf("a chunk allocates %d objects of %d bytes at first, %d of %d in the end", few/chunks, fewBytes/chunks, many/chunks, manyBytes/chunks)
	if many > 3*few || manyBytes > 3*fewBytes {
		t.Error("the work grows more than three times")
	}
	if files.read.Load() > 4096 {
		t.Errorf("%d bytes of journals were read", files.read.Load())
	}
	if now, err := u.Get(t.Context(), up.ID); err != nil || now.Received.Count() != count || !now.Has(ranges.Of(int64(places[0])*100, 1)) {
		t.Errorf("%d ranges are received, %v; want %d", now.Received.Count(), err, count)
	}
}
