package storagetest

import (
	"bytes"
	"errors"
	"io"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// lateCases are about writes that began before what they meet when they end.
func lateCases() []storeCase {
	return []storeCase{
		{"F26: bytes that were acknowledged stay when a write that began earlier brings others", acknowledgedStays},
		{"F26: bytes that were acknowledged stay when a fragment that began earlier brings others", acknowledgedFragmentStays},
		{"F25: a write that began before its upload was finished and deleted leaves nothing", lateWriteAfterDelete},
		{"F25: a finish that began before its upload was deleted leaves nothing", lateFinishAfterDelete},
	}
}

// late is a write whose source waits in the middle.
type late struct {
	*Gate
	done chan error
}

// startLate begins a write of r, of which the first bytes come at once.
func (f *fixture) startLate(up storage.Upload, data []byte, r ranges.Range, first int64) *late {
	l := &late{done: make(chan error, 1)}
	middle := r.Start + first
	l.Gate = NewGate(cut(data, ranges.Range{Start: r.Start, End: middle}), cut(data, ranges.Range{Start: middle, End: r.End}))
	store, rep := f.store, newReports(f)
	stored := rep.stored(up)
	go func() {
		err := store.Write(f.ctx, up, storage.Chunk{Offset: r.Start, Length: r.Len(), Body: l.Gate}, func(p storage.Extent) storage.Upload {
			defer f.report(up.ID, ranges.NewSet(p.Range))
			return stored(p)
		})
		rep.end()
		l.done <- err
	}()
	<-l.Reached
	return l
}

// end lets the write go on to its end.
func (l *late) end() error {
	l.Open()
	return <-l.done
}

func acknowledgedStays(f *fixture) {
	for _, size := range []int64{f.size, f.size / 3} {
		f.lateWriteChangesNothing(size, ranges.Of(0, size), ranges.Of(0, size))
		f.lateWriteChangesNothing(size, ranges.Of(0, size), ranges.Range{Start: size / 7, End: size})
		f.lateWriteChangesNothing(size, ranges.Range{Start: size / 7, End: size}, ranges.Of(0, size))
	}
}

func acknowledgedFragmentStays(f *fixture) {
	const n = 70_001
	r := ranges.Of(f.size/3, n)
	f.lateWriteChangesNothing(f.size, r, r)
	f.lateWriteChangesNothing(f.size, r, ranges.Of(r.Start+100, n))
	f.lateWriteChangesNothing(f.size, ranges.Of(r.Start+100, n), r)
	f.lateWriteChangesNothing(f.size, r, ranges.Of(r.Start+100, n/2))
	f.lateWriteChangesNothing(f.size, r, ranges.Of(0, f.size))
	f.lateWriteChangesNothing(f.size, ranges.Of(0, f.size), r)
}

// lateWriteChangesNothing has r written while a write of other bytes, to those of early, has
// begun, and checks that the bytes of r are in the file.
func (f *fixture) lateWriteChangesNothing(size int64, early, r ranges.Range) {
	f.Helper()
	data, other := Content(1, size), Content(2, size)
	up := f.create(size)
	l := f.startLate(up, other, early, 0)
	f.putFrom(f.store, f.load(up.ID), r, cut(data, r))
	if err := l.end(); err != nil && !errors.Is(err, storage.ErrContentConflict) {
		f.Errorf("the write of %v that began earlier: %v", early, err)
	}
	f.step()
	f.putFrom(f.store, f.load(up.ID), ranges.Of(0, size), cut(data, ranges.Of(0, size)))
	f.step()
	if _, err := f.store.Finish(f.ctx, f.load(up.ID)); err != nil {
		f.Fatalf("finish: %v", err)
	}
	f.step()
	f.wantBytes(up.ID, data, r)
}

// wantBytes checks that the file has the bytes of data in r.
func (f *fixture) wantBytes(id string, data []byte, r ranges.Range) {
	f.Helper()
	file, err := f.store.Open(f.ctx, f.load(id), r.Start)
	if err != nil {
		f.Fatalf("open: %v", err)
	}
	defer file.Close()
	got, err := io.ReadAll(io.LimitReader(file, r.Len()))
	if err != nil || !bytes.Equal(got, data[r.Start:r.End]) {
		f.Errorf("%v was acknowledged, and has been replaced; %v", r, err)
	}
}

func lateWriteAfterDelete(f *fixture) {
	for _, size := range []int64{f.size, f.size / 8} {
		for _, r := range []ranges.Range{ranges.Of(0, size), ranges.Of(size/3, size/3)} {
			for _, state := range []string{"begun", "complete", "finished", "delivered"} {
				f.lateWriteLeavesNothing(Content(1, size), r, state)
			}
		}
	}
}

// lateWriteLeavesNothing deletes an upload that has come into a state while a write of r
// was under way.
func (f *fixture) lateWriteLeavesNothing(data []byte, r ranges.Range, state string) {
	f.Helper()
	size := int64(len(data))
	up := f.create(size)
	l := f.startLate(up, data, r, r.Len()-1)
	f.putFrom(f.store, f.load(up.ID), ranges.Of(0, size/2), cut(data, ranges.Of(0, size/2)))
	if state != "begun" {
		f.putFrom(f.store, f.load(up.ID), ranges.Of(0, size), cut(data, ranges.Of(0, size)))
	}
	if state == "finished" || state == "delivered" {
		if _, err := f.store.Finish(f.ctx, f.load(up.ID)); err != nil {
			f.Fatalf("finish: %v", err)
		}
	}
	if state == "delivered" {
		if err := f.store.MarkDelivered(f.ctx, f.load(up.ID)); err != nil {
			f.Fatalf("mark delivered: %v", err)
		}
	}
	if err := f.store.Delete(f.ctx, up.ID); err != nil {
		f.Errorf("%s: delete during a write: %v", state, err)
	}
	if err := l.end(); err != nil && !errors.Is(err, storage.ErrGone) && !errors.Is(err, storage.ErrNotFound) {
		f.Errorf("%s: write of a deleted upload: %v, want ErrGone", state, err)
	}
	f.step()
	f.wantGone(up)
	f.wantNothingLeft(up.ID)
}

func lateFinishAfterDelete(f *fixture) {
	for i := range 8 {
		up := f.deleteWhileFinishing(uint64(i))
		f.wantGone(up)
		f.wantNothingLeft(up.ID)
	}
}

// wantNothingLeft checks that a store has nothing of a deleted upload but that it is gone.
func (f *fixture) wantNothingLeft(id string) {
	f.Helper()
	if f.h.Left == nil {
		return
	}
	if left := f.h.Left(id); len(left) > 0 {
		f.Errorf("left of a deleted upload: %v", left)
	}
}
