package storagetest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func appendedIsKept(f *cacheFixture) {
	up := upload(100)
	f.store(up)
	for _, r := range []ranges.Range{ranges.Of(10, 10), ranges.Of(40, 10), ranges.Of(15, 30), ranges.Of(10, 10), ranges.Of(50, 0)} {
		up.Received.Add(r)
		known := f.appendRange(up.ID, r)
		f.wantSame(known, up)
		f.want(up)
		if time.Since(known.ModifiedAt).Abs() > 5*time.Second {
			f.Errorf("appended to at %v, modified at %v", time.Now(), known.ModifiedAt)
		}
		f.here, f.there = f.there, f.here
	}
}

// Append does what Upload.Add does.
func namedExtentsAreKept(f *cacheFixture) {
	const cell, n = 10, 12
	rnd := rand.New(rand.NewPCG(1, 2))
	up := upload(cell * n)
	f.store(up)
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
		f.wantSame(f.appendExtent(up.ID, p), up)
		f.here, f.there = f.there, f.here
	}
	f.want(up)
}

func oneAppenderCompletes(f *cacheFixture) {
	const n, size = 64, 6400
	for range 5 {
		up := upload(size)
		f.store(up)
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
			f.Errorf("%d calls saw the upload complete, want 1; %v", completed.Load(), err)
		}
	}
}

func nothingIsLost(f *cacheFixture) {
	const n = 40
	up := upload(n)
	f.store(up)
	errs := together(2*n, func(i int) error {
		if i%2 == 0 {
			_, err := f.here.Append(f.ctx, up.ID, storage.Extent{Range: ranges.Of(int64(i/2), 1)})
			return err
		}
		stale := up.Clone()
		stale.Received = ranges.NewSet(ranges.Of(int64(i%7), 1))
		generation, err := f.there.Generation(f.ctx, up.ID)
		if err == nil {
			_, err = f.there.Store(f.ctx, generation, stale)
		}
		return err
	})
	if err := errors.Join(errs...); err != nil {
		f.Error(err)
	}
	up.Received = ranges.NewSet(ranges.Of(0, n))
	f.want(up)
}

// The work is measured by what a call allocates, including for the answer of a server: the
// least of 50 calls, or of more if that is too much, since other tests may allocate beside each.
func workDoesNotGrow(f *cacheFixture) {
	const slot, calls, maxCalls = 10, 50, 2000
	var allocated [2]uint64
	for i, count := range []int64{100, 9_900} {
		up := upload(20_000 * slot)
		for n := range count {
			up.Add(storage.Extent{Range: ranges.Of(n*slot, slot), Kind: "part", Name: fmt.Sprint("p", n), Meta: `"0123456789abcdef0123456789abcdef";AAAAAA==`})
		}
		f.store(up)
		f.appendRange(up.ID, ranges.Of(count*slot, slot))
		allocated[i] = math.MaxUint64
		for n := int64(0); n < calls || n < maxCalls && i > 0 && allocated[i] > 3*allocated[0]; n++ {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			known := f.appendExtent(up.ID, storage.Extent{Range: ranges.Of((count+n)*slot, slot), Kind: "part", Name: fmt.Sprint("p", count+n)})
			got, err := f.here.Get(f.ctx, up.ID)
			runtime.ReadMemStats(&after)
			allocated[i] = min(allocated[i], after.TotalAlloc-before.TotalAlloc)
			if want := (count + n + 1) * slot; err != nil || known.Offset() != want || got.Offset() != want {
				f.Fatalf("offsets %d and %d, %v; want %d", known.Offset(), got.Offset(), err, want)
			}
		}
	}
	f.Logf("an Append and a Get allocate %d bytes beside 100 parts, %d beside 9,900", allocated[0], allocated[1])
	if allocated[1] > 3*allocated[0] {
		f.Error("the work grows more than three times")
	}
}
