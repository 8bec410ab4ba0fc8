package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// TestCache checks that a cache keeps every promise of storage.Cache, but for
// forgetting, which it should not do while it is tested. Each call of node
// returns another node's view of the same index; for an index of one process
// that is always the same one.
func TestCache(t *testing.T, node func() storage.Cache) {
	for _, c := range []struct {
		name string
		run  func(*indexFixture)
	}{
		{"an upload that was not put is not found", notPutIsNotFound},
		{"what was put is known", putIsKnown},
		{"a put keeps what was added meanwhile", putMerges},
		{"an added range is returned and kept", addedIsKept},
		{"a named piece is kept until another covers it", namedPiecesAreKept},
		{"a put merges named pieces", putMergesPieces},
		{"of all adders only the last completes the upload", oneAdderCompletes},
		{"adds and puts at once lose nothing", nothingIsLost},
		{"a dropped upload is forgotten and takes no put", droppedStaysDropped},
		{"uploads are distinguished", cacheDistinguishesUploads},
		{"a snapshot shares nothing with the index", indexSnapshotIsItsOwn},
		{"F31: the work of a call does not grow with what is there", workDoesNotGrow},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(newIndexFixture(t, node)) })
	}
}

type indexFixture struct {
	*testing.T
	ctx   context.Context
	here  storage.Cache
	there storage.Cache
}

func newIndexFixture(t *testing.T, node func() storage.Cache) *indexFixture {
	return &indexFixture{T: t, ctx: t.Context(), here: node(), there: node()}
}

// upload is one as a store may have it.
func upload(size int64, received ...ranges.Range) storage.Upload {
	now := time.Now().UTC()
	up := storage.Upload{
		Record: storage.Record{ID: storage.NewID(), Size: size, Created: now.Add(-time.Hour), ClientChosenID: true,
			Metadata: map[string]string{"filename": "ä\x00\n.mp4", "empty": "", "bytes": "\xff\xe4", "\xff": ""}, Partial: true, Parts: []string{"a", "b"}},
		ModifiedAt: now.Add(-time.Minute),
	}
	up.Add(storage.Extent{Name: "layout", Meta: `a fact, {"not": "a range"}`})
	for i, r := range received {
		up.Add(storage.Extent{Range: r, Name: fmt.Sprint("piece ", i), Meta: `"an: ETag, 1"`})
	}
	return up
}

func (f *indexFixture) put(up storage.Upload) storage.Upload {
	f.Helper()
	known, err := f.here.Store(f.ctx, f.begin(up.ID), up)
	if err != nil {
		f.Fatalf("put: %v", err)
	}
	return known
}

func (f *indexFixture) begin(id string) string {
	f.Helper()
	begun, err := f.here.Generation(f.ctx, id)
	if err != nil {
		f.Fatalf("begin: %v", err)
	}
	return begun
}

func (f *indexFixture) add(id string, r ranges.Range) storage.Upload {
	f.Helper()
	return f.addPiece(id, storage.Extent{Range: r})
}

func (f *indexFixture) addPiece(id string, p storage.Extent) storage.Upload {
	f.Helper()
	known, err := f.here.Append(f.ctx, id, p)
	if err != nil {
		f.Fatalf("add: %v", err)
	}
	return known
}

// want checks what the index knows, on both nodes.
func (f *indexFixture) want(up storage.Upload) {
	f.Helper()
	for _, x := range []storage.Cache{f.here, f.there} {
		known, err := x.Get(f.ctx, up.ID)
		if err != nil {
			f.Fatalf("get: %v", err)
		}
		f.wantSame(known, up)
	}
}

func (f *indexFixture) wantSame(got, want storage.Upload) {
	f.Helper()
	same := got.ID == want.ID && got.Size == want.Size && got.Partial == want.Partial && got.Created.Equal(want.Created) &&
		len(got.Metadata) == len(want.Metadata) && slices.Equal(got.Parts, want.Parts) && got.Received.Equal(want.Received) &&
		got.ClientChosenID == want.ClientChosenID && got.Extents.Equal(want.Extents) && got.Finished == want.Finished
	for name, value := range want.Metadata {
		same = same && got.Metadata[name] == value
	}
	if !same {
		f.Errorf("got %+v\nwant %+v", got, want)
	}
}

func (f *indexFixture) wantNotFound(id string) {
	f.Helper()
	for _, x := range []storage.Cache{f.here, f.there} {
		if _, err := x.Get(f.ctx, id); !errors.Is(err, storage.ErrNotFound) {
			f.Errorf("get: %v, want ErrNotFound", err)
		}
		if _, err := x.Append(f.ctx, id, storage.Extent{Range: ranges.Of(0, 1)}); !errors.Is(err, storage.ErrNotFound) {
			f.Errorf("add: %v, want ErrNotFound", err)
		}
	}
}

func notPutIsNotFound(f *indexFixture) {
	id := storage.NewID()
	f.wantNotFound(id)
	f.wantNotFound(id) // the Add has made nothing
}

func putIsKnown(f *indexFixture) {
	for _, up := range []storage.Upload{
		upload(0), upload(1 << 45), upload(storage.Unknown),
		upload(1<<62, ranges.Of(0, 5), ranges.Of(10, 1), ranges.Of(1<<62-1, 1)),
		{Record: storage.Record{ID: storage.NewID(), Size: 3}},
	} {
		known := f.put(up)
		f.wantSame(known, up)
		f.want(up)
		if known.ModifiedAt.Sub(up.ModifiedAt).Abs() > time.Millisecond {
			f.Errorf("put as touched at %v, known as touched at %v", up.ModifiedAt, known.ModifiedAt)
		}
		f.put(up)
		f.want(up)
	}
}

func putMerges(f *indexFixture) {
	old := upload(storage.Unknown, ranges.Of(0, 5))
	f.put(old)
	added := f.add(old.ID, ranges.Of(20, 5))
	stale := old.Clone()
	stale.Received = ranges.NewSet(ranges.Of(0, 7))
	known := f.put(stale)
	want := old.Clone()
	want.Received = ranges.NewSet(ranges.Of(0, 7), ranges.Of(20, 5))
	f.wantSame(known, want)
	f.want(want)
	if known.ModifiedAt.Before(added.ModifiedAt.Add(-time.Millisecond)) {
		f.Errorf("added to at %v, after a stale put touched at %v", added.ModifiedAt, known.ModifiedAt)
	}

	want.Size = 100
	f.wantSame(f.put(want), want)
	f.wantSame(f.put(old), want) // it knows nothing of the size
	f.want(want)
}

func addedIsKept(f *indexFixture) {
	up := upload(100)
	f.put(up)
	for _, r := range []ranges.Range{ranges.Of(10, 10), ranges.Of(40, 10), ranges.Of(15, 30), ranges.Of(10, 10), ranges.Of(50, 0)} {
		up.Received.Add(r)
		known := f.add(up.ID, r)
		f.wantSame(known, up)
		f.want(up)
		if time.Since(known.ModifiedAt).Abs() > 5*time.Second {
			f.Errorf("added to at %v, touched at %v", time.Now(), known.ModifiedAt)
		}
		f.here, f.there = f.there, f.here
	}
}

// What Upload.Add says is what the index does.
func namedPiecesAreKept(f *indexFixture) {
	const cell, n = 10, 12
	rnd := rand.New(rand.NewPCG(1, 2))
	up := upload(cell * n)
	f.put(up)
	for i := range 150 {
		start := rnd.Int64N(cell * n)
		r := ranges.Range{Start: start, End: min(start+rnd.Int64N(8), cell*n)}
		if i%3 == 0 {
			r = ranges.Of(start/cell*cell, cell)
		}
		p := storage.Extent{Range: r, Name: r.String() + "/x", Meta: fmt.Sprint("tag ", i)}
		if i%5 == 0 {
			p.Name, p.Meta = "", ""
		}
		if r.Empty() {
			p.Name = "a fact"
		}
		up.Add(p)
		f.wantSame(f.addPiece(up.ID, p), up)
		f.here, f.there = f.there, f.here
	}
	f.want(up)
}

func putMergesPieces(f *indexFixture) {
	old := upload(100, ranges.Of(0, 5), ranges.Of(50, 5))
	f.put(old)
	want := old.Clone()
	for _, p := range []storage.Extent{
		{Range: ranges.Of(0, 20), Name: "covers", Meta: "1"},
		{Range: ranges.Of(70, 5), Name: "apart", Meta: "2"},
		{Name: "fact", Meta: "3"},
	} {
		want.Add(p)
		f.addPiece(old.ID, p)
	}
	f.wantSame(f.put(old), want) // it brings nothing back that was covered
	newer := old.Clone()
	for _, p := range []storage.Extent{
		{Range: ranges.Of(90, 5), Name: "newer", Meta: "4"},
		{Range: ranges.Of(45, 20), Name: "covers more", Meta: "5"},
	} {
		newer.Add(p)
		want.Add(p)
	}
	f.wantSame(f.put(newer), want) // what it covers is gone from the index too
	f.want(want)
}

func oneAdderCompletes(f *indexFixture) {
	const n, size = 64, 6400
	for range 5 {
		up := upload(size)
		f.put(up)
		var completed atomic.Int32
		errs := together(n, func(i int) error {
			x := []storage.Cache{f.here, f.there}[i%2]
			known, err := x.Append(f.ctx, up.ID, storage.Extent{Range: ranges.Of(int64(i)*size/n, size/n)})
			if err == nil && known.Complete() {
				completed.Add(1)
			}
			return err
		})
		if err := errors.Join(errs...); err != nil || completed.Load() != 1 {
			f.Errorf("%d adders saw the upload complete, want 1; %v", completed.Load(), err)
		}
	}
}

func nothingIsLost(f *indexFixture) {
	const n = 40
	up := upload(n)
	f.put(up)
	errs := together(2*n, func(i int) error {
		if i%2 == 0 {
			_, err := f.here.Append(f.ctx, up.ID, storage.Extent{Range: ranges.Of(int64(i/2), 1)})
			return err
		}
		stale := up.Clone()
		stale.Received = ranges.NewSet(ranges.Of(int64(i%7), 1))
		begun, err := f.there.Generation(f.ctx, up.ID)
		if err == nil {
			_, err = f.there.Store(f.ctx, begun, stale)
		}
		return err
	})
	if err := errors.Join(errs...); err != nil {
		f.Error(err)
	}
	up.Received = ranges.NewSet(ranges.Of(0, n))
	f.want(up)
}

func droppedStaysDropped(f *indexFixture) {
	up := upload(100, ranges.Of(0, 50))
	f.put(up)
	for _, x := range []storage.Cache{f.here, f.there} {
		if err := x.Invalidate(f.ctx, up.ID); err != nil {
			f.Errorf("drop: %v", err)
		}
		f.wantNotFound(up.ID)
		for _, y := range []storage.Cache{f.here, f.there} {
			begun, err := y.Generation(f.ctx, up.ID)
			if err == nil {
				_, err = y.Store(f.ctx, begun, up)
			}
			if err == nil {
				f.Error("a dropped upload was put")
			}
		}
		f.wantNotFound(up.ID)
	}
	if err := f.here.Invalidate(f.ctx, storage.NewID()); err != nil {
		f.Errorf("drop what is not known: %v", err)
	}
}

func cacheDistinguishesUploads(f *indexFixture) {
	a, b := upload(100, ranges.Of(0, 5)), upload(200, ranges.Of(7, 5))
	b.ID = a.ID + "~1"
	f.put(a)
	f.put(b)
	a.Received.Add(ranges.Of(50, 1))
	f.add(a.ID, ranges.Of(50, 1))
	f.want(a)
	f.want(b)
	if err := f.here.Invalidate(f.ctx, a.ID); err != nil {
		f.Errorf("drop: %v", err)
	}
	f.wantNotFound(a.ID)
	f.want(b)
}

func indexSnapshotIsItsOwn(f *indexFixture) {
	up := upload(100, ranges.Of(20, 10))
	want := up.Clone()
	for _, snapshot := range []func() storage.Upload{
		func() storage.Upload { return f.put(up) },
		func() storage.Upload { return up },
		func() storage.Upload { return f.add(up.ID, ranges.Of(20, 10)) },
		func() storage.Upload { known, _ := f.here.Get(f.ctx, up.ID); return known },
	} {
		known := snapshot()
		known.Metadata["empty"] = "changed"
		known.Parts[0] = "changed"
		known.Add(storage.Extent{Name: "layout", Meta: "changed"})
		known.Received.Remove(ranges.Of(20, 5))
		f.want(want)
	}
}

// The work is measured by what a call allocates, including for the answer of a server.
func workDoesNotGrow(f *indexFixture) {
	const slot, calls = 10, 50
	var allocated [2]uint64
	for i, count := range []int64{100, 9_900} {
		up := upload(20_000 * slot)
		for n := range count {
			up.Add(storage.Extent{Range: ranges.Of(n*slot, slot), Kind: "part", Name: fmt.Sprint("p", n), Meta: `"0123456789abcdef0123456789abcdef";AAAAAA==`})
		}
		f.put(up)
		f.add(up.ID, ranges.Of(count*slot, slot))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for n := range int64(calls) {
			known := f.addPiece(up.ID, storage.Extent{Range: ranges.Of((count+n)*slot, slot), Kind: "part", Name: fmt.Sprint("p", count+n)})
			got, err := f.here.Get(f.ctx, up.ID)
			if want := (count + n + 1) * slot; err != nil || known.Offset() != want || got.Offset() != want {
				f.Fatalf("offsets %d and %d, %v; want %d", known.Offset(), got.Offset(), err, want)
			}
		}
		runtime.ReadMemStats(&after)
		allocated[i] = after.TotalAlloc - before.TotalAlloc
	}
	f.Logf("an Append and a Get allocate %d bytes beside 100 parts, %d beside 9,900", allocated[0]/calls, allocated[1]/calls)
	if allocated[1] > 3*allocated[0] {
		f.Error("the work grows more than three times")
	}
}
