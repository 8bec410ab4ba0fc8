package s3

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// These are the sizes that the request counts are stated for, and the part size, all
// divided by 3.2: then parts have the minimum size that S3 allows, and the number of
// requests is that at full size.
const (
	goodCount  = layout.TargetPartSize * 10 / 32 // 5 MiB for 16
	gibCount   = 1 << 30 * 10 / 32
	chunkCount = 50 * layout.MiB * 10 / 32
)

// zeroes yields n zero bytes.
func zeroes(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

// Read implements io.Reader.
func (zero) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func countingNode(t *testing.T) (*node, Options) {
	t.Helper()
	useKeys(t)
	opts := options(servers.S3(t).URL("http"))
	opts.partSize = goodCount
	return startNode(t, opts), opts
}

// wantRequests checks the number of requests since its last call. It does not count the
// delayed removal of superseded objects, which takes one request for up to 1,000 objects
// of all uploads of half a minute.
func wantRequests(t *testing.T, n *node, what string, most int) {
	t.Helper()
	calls := n.wire.calls()
	got := n.wire.reset()
	t.Logf("%s: %d requests, at most %d: %v", what, got, most, calls)
	if got > most {
		t.Errorf("%s: %d requests, want at most %d: %v", what, got, most, calls)
	}
}

// wantRemoval checks that at most one request removes all superseded objects.
func wantRemoval(t *testing.T, n *node, what string) {
	t.Helper()
	n.wire.reset()
	if err := n.store.flush(t.Context()); err != nil {
		t.Error(err)
	}
	if calls := n.wire.calls(); n.wire.reset() > 1 {
		t.Errorf("%s: superseded objects are removed by %v", what, calls)
	}
}

func mustWrite(t *testing.T, n *node, id string, r ranges.Range) {
	t.Helper()
	up, err := n.Write(t.Context(), id, storage.Chunk{Offset: r.Start, Length: r.Len(), Body: zeroes(r.Len())})
	if err != nil || !up.Has(r) {
		t.Errorf("write %v: %v", r, err)
	}
}

func mustCreate(t *testing.T, n *node, rec storage.Record) string {
	t.Helper()
	up, err := n.Create(t.Context(), rec)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	return up.ID
}

func wantFinished(t *testing.T, n *node, id string, size int64) {
	t.Helper()
	up, err := n.Get(t.Context(), id)
	if err != nil || !up.Finished || up.Size != size {
		t.Errorf("get: finished %v, %d bytes, %v", up.Finished, up.Size, err)
	}
	if n.delivered[id] != 1 {
		t.Errorf("its finish event was delivered %d times", n.delivered[id])
	}
}

func TestRequestsOfA1GiBUploadIn50MiBChunks(t *testing.T) {
	n, _ := countingNode(t)
	id := mustCreate(t, n, storage.Record{Size: gibCount})
	for _, r := range storagetest.Chunks(gibCount, chunkCount) {
		mustWrite(t, n, id, r)
	}
	wantRequests(t, n, "in order", 50)
	wantFinished(t, n, id, gibCount)
}

// lastAndShuffled returns the chunks of a 1 GiB upload: the last one, whose length does not
// show that of the others, and the others in random order.
func lastAndShuffled() (last ranges.Range, others []ranges.Range) {
	chunks := storagetest.Chunks(gibCount, chunkCount)
	last, others = chunks[len(chunks)-1], chunks[:len(chunks)-1]
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return last, others
}

func TestRequestsOfA1GiBUploadInParallelChunks(t *testing.T) {
	n, _ := countingNode(t)
	last, others := lastAndShuffled()
	id := mustCreate(t, n, storage.Record{ID: "chosen-by-the-client", Size: gibCount})
	// The worst case: the last chunk is sent first, and the others while it is in flight.
	gate := storagetest.NewGate(zeroes(0), zeroes(last.Len()))
	var writing sync.WaitGroup
	writing.Go(func() {
		if up, err := n.Write(t.Context(), id, storage.Chunk{Offset: last.Start, Length: last.Len(), Body: gate}); err != nil || !up.Has(last) {
			t.Errorf("write %v: %v", last, err)
		}
	})
	<-gate.Reached
	var open sync.Once
	parallel(len(others), 5, func(i int) {
		mustWrite(t, n, id, others[i])
		open.Do(gate.Open)
	})
	writing.Wait()
	wantRequests(t, n, "shuffled, six at once", 50)
	wantFinished(t, n, id, gibCount)
}

// If the last chunk is stored before any other is sent, its bytes are copied once the
// others show where parts end.
func TestRequestsOfA1GiBUploadWhoseLastChunkIsStoredFirst(t *testing.T) {
	n, _ := countingNode(t)
	last, others := lastAndShuffled()
	id := mustCreate(t, n, storage.Record{ID: "chosen-by-the-client", Size: gibCount})
	mustWrite(t, n, id, last)
	parallel(len(others), 6, func(i int) { mustWrite(t, n, id, others[i]) })
	wantRequests(t, n, "the last chunk first", 52)
	wantFinished(t, n, id, gibCount)
}

// A background URLSession sends all chunks concurrently to a URL that it has chosen.
func TestRequestsOfA1GiBUploadOfConcurrentChunksToANewURL(t *testing.T) {
	n, _ := countingNode(t)
	for round := range 3 {
		id := fmt.Sprintf("chosen-by-the-client-%d", round)
		last, chunks := lastAndShuffled()
		chunks = append(chunks, last)
		var sending sync.WaitGroup
		for _, i := range rand.Perm(len(chunks)) {
			sending.Go(func() { mustPut(t, n, storage.Record{ID: id, Size: gibCount}, chunks[i]) })
		}
		sending.Wait()
		wantRequests(t, n, "all at once", 52)
		wantFinished(t, n, id, gibCount)
		n.wire.reset()
	}
}

// The worst outcome of that race: the last chunk creates the upload, and is stored before
// any other is sent.
func TestRequestsOfA1GiBUploadCreatedByItsLastChunk(t *testing.T) {
	n, _ := countingNode(t)
	rec := storage.Record{ID: "chosen-by-the-client", Size: gibCount}
	last, others := lastAndShuffled()
	mustPut(t, n, rec, last)
	parallel(len(others), len(others), func(i int) { mustPut(t, n, rec, others[i]) })
	wantRequests(t, n, "the last chunk first", 52)
	wantFinished(t, n, rec.ID, gibCount)
}

// mustPut writes a chunk like a PUT request that states the size of the upload.
func mustPut(t *testing.T, n *node, rec storage.Record, r ranges.Range) {
	t.Helper()
	if _, err := n.GetOrCreate(t.Context(), rec); err != nil {
		t.Errorf("get or create for %v: %v", r, err)
		return
	}
	mustWrite(t, n, rec.ID, r)
}

func TestRequestsOfA1GiBUploadInOneBody(t *testing.T) {
	n, _ := countingNode(t)
	id := mustCreate(t, n, storage.Record{Size: gibCount})
	mustWrite(t, n, id, ranges.Of(0, gibCount))
	wantRequests(t, n, "one body", 75)
	wantFinished(t, n, id, gibCount)
}

func TestRequestsOfASmallFile(t *testing.T) {
	n, _ := countingNode(t)
	for range 3 {
		id := mustCreate(t, n, storage.Record{Size: 100 << 10})
		mustWrite(t, n, id, ranges.Of(0, 100<<10))
		wantRequests(t, n, "100 KiB", 3)
		wantFinished(t, n, id, 100<<10)
		n.wire.reset()
	}
	id := mustCreate(t, n, storage.Record{})
	wantRequests(t, n, "no bytes", 3)
	wantFinished(t, n, id, 0)
	wantRemoval(t, n, "four small files")
}

func TestRequestsOfGet(t *testing.T) {
	n, opts := countingNode(t)
	id := mustCreate(t, n, storage.Record{Size: gibCount})
	mustWrite(t, n, id, ranges.Of(0, chunkCount+1))
	n.wire.reset()
	cold := startNode(t, opts)
	for what, node := range map[string]*node{"warm": n, "cold": cold} {
		if up, err := node.Get(t.Context(), id); err != nil || up.Offset() != chunkCount+1 {
			t.Errorf("%s: offset %d, %v", what, up.Offset(), err)
		}
	}
	wantRequests(t, n, "get, warm", 0)
	wantRequests(t, cold, "get, cold", 4)
	if _, err := n.Get(t.Context(), "no-such-upload"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("get no upload: %v", err)
	}
}

func TestRequestsOfUnalignedChunks(t *testing.T) {
	n, _ := countingNode(t)
	// 1 MiB chunks of an upload with 16 MiB parts, after division.
	const chunk, size = layout.MiB * 10 / 32, 64 * layout.MiB * 10 / 32
	id := mustCreate(t, n, storage.Record{Size: size})
	chunks := storagetest.Chunks(size, chunk)
	for _, r := range chunks {
		mustWrite(t, n, id, r)
	}
	wantRequests(t, n, "1 MiB chunks", len(chunks)*3/2)
	wantFinished(t, n, id, size)
	odd := mustCreate(t, n, storage.Record{Size: storage.Unknown})
	chunks = storagetest.Chunks(size, chunk+7)
	for _, r := range chunks {
		mustWrite(t, n, odd, r)
	}
	if _, err := n.SetSize(t.Context(), odd, size); err != nil {
		t.Errorf("set size: %v", err)
	}
	wantRequests(t, n, "odd chunks of an unknown size", len(chunks)*3/2)
	wantFinished(t, n, odd, size)
}

// The cost of a sweep depends on the uploads that are unfinished or have a pending event,
// not on the number of finished ones.
func TestRequestsOfASweepDependOnPendingEvents(t *testing.T) {
	n, opts := countingNode(t)
	upload := func(n *node) {
		t.Helper()
		up, err := n.Create(t.Context(), storage.Record{Size: 1000})
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, n, up.ID, ranges.Of(0, 1000))
	}
	for range 40 {
		upload(n)
	}
	n.wire.reset()
	if err := n.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRequests(t, n, "a sweep after 40 uploads whose events were delivered", 3)
	wantRemoval(t, n, "40 uploads")

	undelivered := startNode(t, opts)
	undelivered.Uploads = storage.New(undelivered.store, new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{
		Delivery: storagetest.NoDelivery, Log: slog.New(slog.DiscardHandler),
	})
	for range 5 {
		upload(undelivered)
	}
	undelivered.wire.reset()
	if err := undelivered.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRequests(t, undelivered, "a sweep while 5 events are pending", 3+5*4)
}
