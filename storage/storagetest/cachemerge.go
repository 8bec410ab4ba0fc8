package storagetest

import (
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func storeMerges(f *cacheFixture) {
	old := upload(storage.Unknown, ranges.Of(0, 5))
	f.store(old)
	appended := f.appendRange(old.ID, ranges.Of(20, 5))
	stale := old.Clone()
	stale.Received = ranges.NewSet(ranges.Of(0, 7))
	known := f.store(stale)
	want := old.Clone()
	want.Received = ranges.NewSet(ranges.Of(0, 7), ranges.Of(20, 5))
	f.wantSame(known, want)
	f.want(want)
	if known.ModifiedAt.Before(appended.ModifiedAt.Add(-time.Millisecond)) {
		f.Errorf("appended to at %v, after a stale Store modified at %v", appended.ModifiedAt, known.ModifiedAt)
	}

	want.Size = 100
	f.wantSame(f.store(want), want)
	f.wantSame(f.store(old), want) // which lacks the size
	f.want(want)
}

func storeMergesExtents(f *cacheFixture) {
	old := upload(100, ranges.Of(0, 5), ranges.Of(50, 5))
	f.store(old)
	want := old.Clone()
	for _, p := range []storage.Extent{
		{Range: ranges.Of(0, 20), Name: "covers", Meta: "1"},
		{Range: ranges.Of(70, 5), Name: "apart", Meta: "2"},
		{Name: "fact", Meta: "3"},
	} {
		want.Add(p)
		f.appendExtent(old.ID, p)
	}
	f.wantSame(f.store(old), want) // what was covered does not come back
	newer := old.Clone()
	for _, p := range []storage.Extent{
		{Range: ranges.Of(90, 5), Name: "newer", Meta: "4"},
		{Range: ranges.Of(45, 20), Name: "covers more", Meta: "5"},
	} {
		newer.Add(p)
		want.Add(p)
	}
	f.wantSame(f.store(newer), want) // what it covers is gone from the cache too
	f.want(want)
}
