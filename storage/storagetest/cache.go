package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// TestCache checks that a cache keeps every promise of storage.Cache. It must be large enough
// to evict nothing meanwhile. Each call of node returns another node's view of the same cache;
// for a cache of one process that is always the same one.
func TestCache(t *testing.T, node func() storage.Cache) {
	for _, c := range []struct {
		name string
		run  func(*cacheFixture)
	}{
		{"an upload that was not stored is not found", notStoredIsNotFound},
		{"what was stored is known", storedIsKnown},
		{"Store keeps what was appended meanwhile", storeMerges},
		{"an appended range is returned and kept", appendedIsKept},
		{"a named extent is kept until another covers it", namedExtentsAreKept},
		{"Store merges named extents", storeMergesExtents},
		{"of concurrent calls of Append only the last completes the upload", oneAppenderCompletes},
		{"concurrent calls of Append and Store lose nothing", nothingIsLost},
		{"what was loaded before an extent that could not be appended is not stored", lostExtentEndsLoads},
		{"an invalidated upload is not cached, and not stored for a while", invalidatedStaysInvalidated},
		{"uploads are distinguished", cacheDistinguishesUploads},
		{"what is returned does not change with the cache", cacheSnapshotIsItsOwn},
		{"F31: the work of a call does not grow with what is there", workDoesNotGrow},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(newCacheFixture(t, node)) })
	}
}

type cacheFixture struct {
	*testing.T
	ctx   context.Context
	here  storage.Cache
	there storage.Cache
}

func newCacheFixture(t *testing.T, node func() storage.Cache) *cacheFixture {
	return &cacheFixture{T: t, ctx: t.Context(), here: node(), there: node()}
}

// upload returns an upload as a store may have it.
func upload(size int64, received ...ranges.Range) storage.Upload {
	now := time.Now().UTC()
	up := storage.Upload{
		Record: storage.Record{ID: storage.NewID(), Size: size, Created: now.Add(-time.Hour), ClientChosenID: true,
			Metadata: map[string]string{"filename": "ä\x00\n.mp4", "empty": "", "bytes": "\xff\xe4", "\xff": ""}, Partial: true, Parts: []string{"a", "b"}},
		ModifiedAt: now.Add(-time.Minute),
	}
	up.Add(storage.Extent{Name: "layout", Meta: `a fact, {"not": "a range"}`})
	for i, r := range received {
		up.Add(storage.Extent{Range: r, Name: fmt.Sprint("extent ", i), Meta: `"an: ETag, 1"`})
	}
	return up
}

func (f *cacheFixture) store(up storage.Upload) storage.Upload {
	f.Helper()
	known, err := f.here.Store(f.ctx, f.generation(up.ID), up)
	if err != nil {
		f.Fatalf("Store: %v", err)
	}
	return known
}

func (f *cacheFixture) generation(id string) string {
	f.Helper()
	generation, err := f.here.Generation(f.ctx, id)
	if err != nil {
		f.Fatalf("Generation: %v", err)
	}
	return generation
}

func (f *cacheFixture) appendRange(id string, r ranges.Range) storage.Upload {
	f.Helper()
	return f.appendExtent(id, storage.Extent{Range: r})
}

func (f *cacheFixture) appendExtent(id string, p storage.Extent) storage.Upload {
	f.Helper()
	known, err := f.here.Append(f.ctx, id, p)
	if err != nil {
		f.Fatalf("Append: %v", err)
	}
	return known
}

// want checks what the cache has, on both nodes.
func (f *cacheFixture) want(up storage.Upload) {
	f.Helper()
	for _, x := range []storage.Cache{f.here, f.there} {
		known, err := x.Get(f.ctx, up.ID)
		if err != nil {
			f.Fatalf("Get: %v", err)
		}
		f.wantSame(known, up)
	}
}

func (f *cacheFixture) wantSame(got, want storage.Upload) {
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

func (f *cacheFixture) wantNotFound(id string) {
	f.Helper()
	for _, x := range []storage.Cache{f.here, f.there} {
		if _, err := x.Get(f.ctx, id); !errors.Is(err, storage.ErrNotFound) {
			f.Errorf("Get: %v, want ErrNotFound", err)
		}
		if _, err := x.Append(f.ctx, id, storage.Extent{Range: ranges.Of(0, 1)}); !errors.Is(err, storage.ErrNotFound) {
			f.Errorf("Append: %v, want ErrNotFound", err)
		}
	}
}

func notStoredIsNotFound(f *cacheFixture) {
	id := storage.NewID()
	f.wantNotFound(id)
	f.wantNotFound(id) // Append has made nothing
}

func storedIsKnown(f *cacheFixture) {
	for _, up := range []storage.Upload{
		upload(0), upload(1 << 45), upload(storage.Unknown),
		upload(1<<62, ranges.Of(0, 5), ranges.Of(10, 1), ranges.Of(1<<62-1, 1)),
		{Record: storage.Record{ID: storage.NewID(), Size: 3}},
	} {
		known := f.store(up)
		f.wantSame(known, up)
		f.want(up)
		if known.ModifiedAt.Sub(up.ModifiedAt).Abs() > time.Millisecond {
			f.Errorf("stored as modified at %v, known as modified at %v", up.ModifiedAt, known.ModifiedAt)
		}
		f.store(up)
		f.want(up)
	}
}

func invalidatedStaysInvalidated(f *cacheFixture) {
	up := upload(100, ranges.Of(0, 50))
	f.store(up)
	for _, x := range []storage.Cache{f.here, f.there} {
		if err := x.Invalidate(f.ctx, up.ID); err != nil {
			f.Errorf("Invalidate: %v", err)
		}
		f.wantNotFound(up.ID)
		for _, y := range []storage.Cache{f.here, f.there} {
			generation, err := y.Generation(f.ctx, up.ID)
			if err == nil {
				_, err = y.Store(f.ctx, generation, up)
			}
			if err == nil {
				f.Error("an invalidated upload was stored")
			}
		}
		f.wantNotFound(up.ID)
	}
	if err := f.here.Invalidate(f.ctx, storage.NewID()); err != nil {
		f.Errorf("Invalidate what is not cached: %v", err)
	}
}

func lostExtentEndsLoads(f *cacheFixture) {
	up := upload(100, ranges.Of(0, 50))
	before := f.generation(up.ID)
	if _, err := f.there.Append(f.ctx, up.ID, storage.Extent{Range: ranges.Of(50, 50)}); !errors.Is(err, storage.ErrNotFound) {
		f.Errorf("Append: %v, want ErrNotFound", err)
	}
	if _, err := f.here.Store(f.ctx, before, up); err == nil {
		f.Error("an upload that was loaded before an extent was stored")
	}
	f.wantNotFound(up.ID)
	f.store(up)
	f.want(up)
}

func cacheDistinguishesUploads(f *cacheFixture) {
	a, b := upload(100, ranges.Of(0, 5)), upload(200, ranges.Of(7, 5))
	b.ID = a.ID + "~1"
	f.store(a)
	f.store(b)
	a.Received.Add(ranges.Of(50, 1))
	f.appendRange(a.ID, ranges.Of(50, 1))
	f.want(a)
	f.want(b)
	if err := f.here.Invalidate(f.ctx, a.ID); err != nil {
		f.Errorf("Invalidate: %v", err)
	}
	f.wantNotFound(a.ID)
	f.want(b)
}

func cacheSnapshotIsItsOwn(f *cacheFixture) {
	up := upload(100, ranges.Of(20, 10))
	want := up.Clone()
	for _, snapshot := range []func() storage.Upload{
		func() storage.Upload { return f.store(up) },
		func() storage.Upload { return up },
		func() storage.Upload { return f.appendRange(up.ID, ranges.Of(20, 10)) },
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
