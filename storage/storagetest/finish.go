package storagetest

import (
	"bytes"
	"errors"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func finishCases() []storeCase {
	return []storeCase{
		{"an upload is finished by Finish alone, and any number of times", finishIsRepeatable},
		{"an upload may be finished several times at once", finishAtOnce},
		{"a late write leaves the file as it is", lateWriteChangesNothing},
		{"a chunk that comes again while the upload is finished is dropped", writeDuringFinish},
		{"bytes beyond a size that was declared late are not in the file", bytesBeyondTheEnd},
		{"an empty upload has an empty file", emptyFile},
		{"an upload of unknown size has the file of its declared size", unknownSize},
		{"a file can be read from any offset", readFromAnyOffset},
		{"a file can be read by many at once", readAtOnce},
		{"a finished concatenation keeps its record", finishedKeepsRecord},
		{"a finished upload has a pending delivery and is listed until it is delivered", pendingUntilDelivered},
		{"a dead-lettered delivery stays pending and listed until it is delivered", deadLetteredUntilDelivered},
		{"an upload that lacks bytes is not finished", lackingIsNotFinished},
		{"an upload that has lost its file is gone, not finished", lostFileIsGone},
		{"files are joined, if the store can do so", filesAreJoined},
	}
}

func finishIsRepeatable(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	f.putAll(up, data)
	complete := f.load(up.ID)
	if !complete.Complete() {
		f.Errorf("with all bytes written only %v is there", complete.Received)
	}
	finished := f.finish(up.ID, data)
	for _, again := range []storage.Upload{complete, finished} {
		if _, err := f.store.Finish(f.ctx, again); err != nil {
			f.Errorf("finish again: %v", err)
		}
		f.step()
		f.wantFile(up.ID, data)
	}
}

func finishAtOnce(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	f.putAll(up, data)
	complete := f.load(up.ID)
	errs := together(4, func(int) error { return f.finishOnly(f.store, complete.Clone()) })
	if err := errors.Join(errs...); err != nil {
		f.Errorf("finish at once: %v", err)
	}
	f.step()
	f.wantFile(up.ID, data)
}

func lateWriteChangesNothing(f *fixture) {
	data, other := Content(1, f.size), Content(2, f.size)
	up := f.create(f.size)
	f.put(up, data, ranges.Of(0, f.size/2))
	half := f.load(up.ID)
	f.put(up, data, ranges.Range{Start: f.size / 2, End: f.size})
	finished := f.finish(up.ID, data)
	for i, snapshot := range []storage.Upload{up, half, finished, up, half} {
		if i == 3 {
			f.markDelivered(up.ID)
		}
		for _, r := range []ranges.Range{ranges.Of(0, f.size), ranges.Of(f.size/3, f.size/3), ranges.Of(f.size-1, 1)} {
			f.put(snapshot, other, r)
			f.wantFile(up.ID, data)
		}
	}
}

func writeDuringFinish(f *fixture) {
	data, other := Content(1, f.size), Content(2, f.size)
	up := f.create(f.size)
	f.putAll(up, data)
	src := NewGate(bytes.NewReader(other[:f.size/2]), bytes.NewReader(other[f.size/2:]))
	rep := newReports(f)
	store, done, full := f.store, make(chan error, 1), f.load(up.ID)
	go func() { done <- store.Write(f.ctx, full, chunk(0, src), rep.stored(full)) }()
	<-src.Reached
	if _, err := f.store.Finish(f.ctx, f.load(up.ID)); err != nil {
		f.Errorf("finish: %v", err)
	}
	src.Open()
	if err := <-done; err != nil {
		f.Errorf("a write of bytes that are all there: %v", err)
	}
	f.step()
	f.wantFile(up.ID, data)
}

// The write began while the size was unknown, so that nothing bounds it. It may fail.
func bytesBeyondTheEnd(f *fixture) {
	data := Content(1, f.size)
	up := f.create(storage.Unknown)
	f.putAll(up, data[:f.size/2])
	src := NewGate(bytes.NewReader(nil), bytes.NewReader(data[f.size/2:]))
	rep := newReports(f)
	store, done, half := f.store, make(chan error, 1), f.load(up.ID)
	go func() { done <- store.Write(f.ctx, half, chunk(f.size/2, src), rep.stored(half)) }()
	<-src.Reached
	for _, err := range []error{store.SetSize(f.ctx, up.ID, f.size/2), f.finishOnly(store, f.load(up.ID))} {
		if err != nil {
			f.Errorf("set the size and finish: %v", err)
		}
	}
	src.Open()
	<-done
	rep.end()
	f.step()
	f.wantFile(up.ID, data[:f.size/2])
}

func emptyFile(f *fixture) {
	up := f.create(0)
	f.finish(up.ID, nil)
	written := f.create(0)
	f.putFrom(f.store, written, ranges.Range{}, bytes.NewReader(nil))
	f.step()
	f.finish(written.ID, nil)
	declared := f.create(storage.Unknown)
	f.setSize(declared.ID, 0)
	f.finish(declared.ID, nil)
	if _, err := f.store.Finish(f.ctx, f.load(up.ID)); err != nil {
		f.Errorf("finish again: %v", err)
	}
	f.wantFile(up.ID, nil)
}

func unknownSize(f *fixture) {
	data := Content(1, f.size)
	early := f.create(storage.Unknown)
	f.put(early, data, ranges.Of(f.size/2, f.size/4))
	f.setSize(early.ID, f.size)
	f.putAll(early, data)
	f.finish(early.ID, data)

	late := f.create(storage.Unknown)
	f.putAll(late, data)
	if got := f.load(late.ID); got.Complete() || got.Offset() != f.size {
		f.Errorf("complete %v without a size, offset %d of %d", got.Complete(), got.Offset(), f.size)
	}
	f.setSize(late.ID, f.size)
	f.finish(late.ID, data)

	short := f.create(storage.Unknown)
	f.put(short, data, ranges.Of(0, 1))
	f.setSize(short.ID, 1)
	f.finish(short.ID, data[:1])
}

func readFromAnyOffset(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	f.putAll(up, data)
	up = f.finish(up.ID, data)
	for _, at := range []int64{0, 1, f.size/5 + 1, f.size / 2, f.size - 1, f.size} {
		f.wantRead(up, at, data)
	}
	file, err := f.store.Open(f.ctx, up, 0)
	if err != nil {
		f.Fatalf("open: %v", err)
	}
	if _, err := file.Read(make([]byte, 10)); err != nil {
		f.Errorf("read: %v", err)
	}
	if err := file.Close(); err != nil {
		f.Errorf("close in the middle: %v", err)
	}
}

func readAtOnce(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	f.putAll(up, data)
	up = f.finish(up.ID, data)
	errs := together(4, func(i int) error {
		at := f.size * int64(i) / 5
		file, err := f.store.Open(f.ctx, up, at)
		if err != nil {
			return err
		}
		return errors.Join(Same(file, data[at:]), file.Close())
	})
	if err := errors.Join(errs...); err != nil {
		f.Error(err)
	}
}

func finishedKeepsRecord(f *fixture) {
	data := Content(1, f.size)
	up := f.createAs(storage.Record{ID: storage.NewID(), Size: storage.Unknown, Partial: true,
		Metadata: map[string]string{"filename": "a.mp4"}, Parts: []string{"one", "two"}})
	f.putAll(up, data)
	f.setSize(up.ID, f.size)
	got := f.finish(up.ID, data)
	if got.ID != up.ID || !got.Partial || got.Metadata["filename"] != "a.mp4" || len(got.Parts) != 2 || !got.Created.Equal(up.Created) {
		f.Errorf("created %+v, finished %+v", up.Record, got.Record)
	}
	if got.ModifiedAt.IsZero() || got.Offset() != f.size {
		f.Errorf("finished: touched %v, offset %d of %d", got.ModifiedAt, got.Offset(), f.size)
	}
}

// markDelivered marks the event of a finished upload as delivered.
func (f *fixture) markDelivered(id string) {
	f.Helper()
	if err := f.store.MarkDelivered(f.ctx, f.load(id)); err != nil {
		f.Fatalf("mark delivered: %v", err)
	}
	f.step()
	if up := f.load(id); up.DeliveryPending || !up.Finished {
		f.Errorf("delivered: pending %v, finished %v", up.DeliveryPending, up.Finished)
	}
}

func pendingUntilDelivered(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	f.putAll(up, data)
	if now := f.load(up.ID); now.DeliveryPending && !now.Finished {
		f.Error("the delivery of an incomplete upload is pending")
	}
	finished := f.finish(up.ID, data)
	if !finished.DeliveryPending || !f.ids()[up.ID] {
		f.Errorf("finished: pending %v, listed %v", finished.DeliveryPending, f.ids()[up.ID])
	}
	errs := together(3, func(int) error { return f.store.MarkDelivered(f.ctx, finished.Clone()) })
	if err := errors.Join(errs...); err != nil {
		f.Errorf("mark delivered at once: %v", err)
	}
	f.step()
	f.markDelivered(up.ID)
	f.wantFile(up.ID, data)
	f.delete(up.ID)
	f.wantGone(up)
}

func deadLetteredUntilDelivered(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	f.putAll(up, data)
	finished := f.finish(up.ID, data)
	if finished.DeadLettered {
		f.Error("dead-lettered at once")
	}
	for range 2 {
		if err := f.store.DeadLetter(f.ctx, finished); err != nil {
			f.Fatalf("dead-letter: %v", err)
		}
		f.step()
		if now := f.load(up.ID); !now.DeadLettered || !now.DeliveryPending || !now.Finished || !f.ids()[up.ID] {
			f.Errorf("dead-lettered: dead-lettered %v, pending %v, finished %v, listed %v", now.DeadLettered, now.DeliveryPending, now.Finished, f.ids()[up.ID])
		}
	}
	f.wantFile(up.ID, data)
	f.markDelivered(up.ID)
	if f.load(up.ID).DeadLettered {
		f.Error("delivered, and still dead-lettered")
	}
	if err := f.store.DeadLetter(f.ctx, finished); err != nil {
		f.Errorf("dead-letter what is delivered: %v", err)
	}
	f.step()
	if now := f.load(up.ID); now.DeliveryPending || !now.Finished {
		f.Errorf("dead-lettered too late: pending %v, finished %v", now.DeliveryPending, now.Finished)
	}
	f.delete(up.ID)
	f.wantGone(up)
}

func lackingIsNotFinished(f *fixture) {
	data := Content(1, f.size)
	for _, have := range []ranges.Range{{}, ranges.Of(0, f.size-1), ranges.Of(1, f.size-1), ranges.Of(f.size/3, 1)} {
		up := f.create(f.size)
		f.put(up, data, have)
		complete := f.load(up.ID)
		complete.Received.Add(ranges.Of(0, f.size))
		if _, err := f.store.Finish(f.ctx, complete); !errors.Is(err, storage.ErrIncomplete) {
			f.Errorf("finish what has only %v: %v, want ErrIncomplete", have, err)
		}
		f.step()
		if now := f.load(up.ID); now.Finished || !now.Received.Equal(ranges.NewSet(have)) {
			f.Errorf("finished in vain: finished %v, received %v, want %v", now.Finished, now.Received, have)
		}
		f.put(up, data, ranges.Of(0, f.size))
		f.finish(up.ID, data)
	}
}

// The vanished object of F4.
func lostFileIsGone(f *fixture) {
	if f.h.Lose == nil {
		return
	}
	data := Content(1, f.size)
	for _, state := range []string{"finished", "partial finished"} {
		up := f.inState(state, data)
		f.h.Lose(up.ID)
		f.step()
		if now, err := f.store.Load(f.ctx, up.ID); !errors.Is(err, storage.ErrGone) {
			f.Errorf("%s, without its file: finished %v, %v; want ErrGone", state, now.Finished, err)
		}
		f.delete(up.ID)
		f.wantGone(up)
	}
}
