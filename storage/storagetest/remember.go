package storagetest

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func rememberCases() []storeCase {
	return []storeCase{
		{"F23: a delivered upload stays finished when its file is moved", movedStaysFinished},
		{"F23: of what a delivered upload was made does not matter", movedHoweverMade},
		{"F23: what comes late brings no moved file back", lateAfterMove},
		{"F23: a delivered upload without its file is forgotten by age", movedIsForgotten},
		{"F23: a delivered upload without its file can be deleted", movedCanBeDeleted},
		{"F23: the file of a later upload with the key is not the moved one's", keyOfMovedIsReused},
		{"F23: the file of a later upload whose id is the key is not the moved one's", keyOfMovedIsAnID},
	}
}

// moved makes a delivered upload whose file is gone, and returns it as it was before that.
func (f *fixture) moved(rec storage.Record, data []byte) storage.Upload {
	f.Helper()
	up := f.createAs(rec)
	if rec.Size == storage.Unknown {
		f.setSize(up.ID, int64(len(data)))
	}
	f.putAll(up, data)
	f.finish(up.ID, data)
	f.markDelivered(up.ID)
	before := f.load(up.ID)
	f.h.Move(before)
	f.step()
	return before
}

// wantRemembered checks that an upload is complete without its file.
func (f *fixture) wantRemembered(before storage.Upload) {
	f.Helper()
	up := f.load(before.ID)
	if !up.Finished || !up.FileMissing || up.DeliveryPending || up.DeadLettered || up.Deleted || !up.Complete() {
		f.Errorf("finished %v, without its file %v, delivery pending %v, complete %v", up.Finished, up.FileMissing, up.DeliveryPending, up.Complete())
	}
	if up.Size != before.Size || up.Offset() != before.Size || !up.Has(ranges.Of(0, before.Size)) || !up.Missing().Empty() {
		f.Errorf("size %d, offset %d, missing %v, want all %d bytes", up.Size, up.Offset(), up.Missing(), before.Size)
	}
	if !sameRecord(up.Record, before.Record) {
		f.Errorf("record %+v, want %+v", up.Record, before.Record)
	}
	if d := up.ModifiedAt.Sub(before.ModifiedAt).Abs(); d > 20*time.Second {
		f.Errorf("touched at %v, before at %v", up.ModifiedAt, before.ModifiedAt)
	}
	if age := time.Since(up.Delivered); age.Abs() > time.Minute {
		f.Errorf("delivered %v ago", age)
	}
	f.wantNoFile(up)
}

func sameRecord(a, b storage.Record) bool {
	return a.ID == b.ID && a.Key == b.Key && a.Owner == b.Owner && a.ClientChosenID == b.ClientChosenID && a.Partial == b.Partial &&
		a.Created.Equal(b.Created) && slices.Equal(a.Parts, b.Parts) && sameMetadata(a.Metadata, b.Metadata)
}

func sameMetadata(a, b storage.Metadata) bool {
	for name, value := range a {
		if b[name] != value {
			return false
		}
	}
	return len(a) == len(b)
}

func (f *fixture) chosen() storage.Record {
	return storage.Record{ID: storage.NewID(), Size: f.size, ClientChosenID: true, Owner: "anna",
		Metadata: storage.Metadata{"filename": "a.mp4", "bytes": "\xff"}}
}

func (f *fixture) cleaner() storage.Cleaner { return f.store.(storage.Cleaner) }

func movedStaysFinished(f *fixture) {
	up := f.moved(f.chosen(), Content(1, f.size))
	f.wantRemembered(up)
	if err := f.store.Create(f.ctx, storage.Record{ID: up.ID, Size: 5, ClientChosenID: true, Created: time.Now().UTC()}); !errors.Is(err, storage.ErrExists) {
		f.Errorf("create the id again: %v, want ErrExists", err)
	}
	f.step()
	f.wantRemembered(up)
	if err := errors.Join(f.store.MarkDelivered(f.ctx, f.load(up.ID)), f.store.DeadLetter(f.ctx, f.load(up.ID))); err != nil {
		f.Errorf("mark delivered and dead-letter: %v", err)
	}
	f.step()
	f.clean(f.cleaner(), time.Now().Add(time.Hour)) // of other things
	f.wantRemembered(up)
}

func movedHoweverMade(f *fixture) {
	long := f.chosen()
	long.Metadata = storage.Metadata{"long": string(bytes.Repeat([]byte("x"), 4000))}
	late, parts, server := f.chosen(), f.chosen(), f.chosen()
	late.Size, parts.Parts, server.ClientChosenID = storage.Unknown, []string{"one", "two"}, false
	keyed := f.chosen()
	keyed.Key = "videos/" + keyed.ID + ".mp4"
	for _, rec := range []storage.Record{long, late, parts, server, keyed} {
		f.wantRemembered(f.moved(rec, Content(1, f.size)))
	}
	empty := f.chosen()
	empty.Size = 0
	f.wantRemembered(f.moved(empty, nil))
}

// A request may have begun at any time before the upload was finished.
func lateAfterMove(f *fixture) {
	data := Content(1, f.size)
	fresh := f.createAs(f.chosen())
	f.put(fresh, data, ranges.Of(0, f.size/2))
	half := f.load(fresh.ID)
	f.put(fresh, data, ranges.Range{Start: f.size / 2, End: f.size})
	full := f.load(fresh.ID)
	finished := f.finish(fresh.ID, data)
	f.markDelivered(fresh.ID)
	before := f.load(fresh.ID)
	f.h.Move(before)
	f.step()
	snapshots := []storage.Upload{half, full, finished, before, f.load(fresh.ID)}
	if f.killing {
		snapshots = snapshots[3:] // the process that had the others is dead
	}
	for _, snapshot := range snapshots {
		for _, r := range []ranges.Range{ranges.Of(f.size/3, f.size/3), ranges.Of(f.size-1, 1)} {
			if err := f.store.Write(f.ctx, snapshot, chunk(r.Start, cut(data, r)), newReports(f).stored(snapshot)); err != nil {
				f.Errorf("write %v late: %v", r, err)
			}
			f.step()
			f.wantRemembered(before)
		}
		if _, err := f.store.Finish(f.ctx, snapshot); snapshot.Complete() && err != nil {
			f.Errorf("finish late: %v", err)
		}
		f.step()
		f.wantRemembered(before)
	}
}

func movedIsForgotten(f *fixture) {
	data := Content(1, f.size)
	up := f.moved(f.chosen(), data)
	there := map[string]storage.Upload{}
	for _, state := range states {
		there[state] = f.inState(state, data)
	}
	keyed := f.chosen()
	keyed.Key = "videos/" + keyed.ID + ".mp4"
	there["with a key"] = f.createAs(keyed)
	f.putAll(there["with a key"], data)
	f.finish(keyed.ID, data)
	f.markDelivered(keyed.ID)
	f.cleanFinished(time.Now().Add(-time.Hour))
	f.wantRemembered(up)
	f.cleanFinished(time.Now().Add(time.Hour))
	for state, up := range there {
		if now := f.load(up.ID); now.FileMissing || now.Finished != up.Finished && state != "with a key" || !up.Received.Minus(now.Received).Empty() {
			f.Errorf("%s: %+v before, %+v after", state, up, now)
		}
	}
	f.wantFile(keyed.ID, data)
	f.wantForgotten(up)
}

// wantForgotten checks that the id of an upload is soon that of none. A store that finds
// files with keys of their own by what it remembers may go on to remember them.
func (f *fixture) wantForgotten(up storage.Upload) {
	f.Helper()
	rec, began := storage.Record{ID: up.ID, Size: 10, ClientChosenID: true, Created: time.Now().UTC()}, time.Now()
	for {
		if now, err := f.store.Load(f.ctx, up.ID); err == nil && now.FileMissing && now.Key != "" {
			return
		}
		err := f.store.Create(f.ctx, rec)
		if err == nil {
			break
		}
		if time.Since(began) > 30*time.Second {
			f.Fatalf("create an id that is forgotten: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	f.step()
	if now := f.load(up.ID); now.Finished || now.Size != 10 {
		f.Errorf("created again: %+v", now)
	}
}

func (f *fixture) cleanFinished(before time.Time) {
	f.Helper()
	if err := f.cleaner().CleanFinished(f.ctx, before); err != nil {
		f.Fatalf("clean what is finished: %v", err)
	}
	f.step()
}

func movedCanBeDeleted(f *fixture) {
	up := f.moved(f.chosen(), Content(1, f.size))
	f.delete(up.ID)
	f.wantGone(up)
	f.delete(up.ID)
	f.clean(f.cleaner(), time.Now().Add(time.Hour))
	if now, err := f.store.Load(f.ctx, up.ID); !errors.Is(err, storage.ErrNotFound) {
		f.Errorf("long after its deletion: %+v, %v, want ErrNotFound", now, err)
	}
	f.createAs(up.Record)
}

// wantApart checks that of two uploads with one key the first has lost its file, which
// has gone to the second, and that no end of the first is one of the second.
func (f *fixture) wantApart(first storage.Upload, second storage.Record, data []byte) {
	f.Helper()
	if err := f.store.Create(f.ctx, second); err != nil {
		f.Fatalf("create another upload with the key of a moved file: %v", err)
	}
	f.step()
	f.wantRemembered(first)
	f.putAll(f.load(second.ID), data)
	f.finish(second.ID, data)
	check := func() {
		f.Helper()
		if up := f.load(first.ID); !up.FileMissing {
			f.Error("the file of another upload is taken for its own")
		}
		f.wantFile(second.ID, data)
	}
	check()
	f.markDelivered(second.ID)
	check()
	f.delete(first.ID)
	f.wantMarkedGone(first)
	f.wantFile(second.ID, data)
	f.clean(f.cleaner(), time.Now().Add(time.Hour))
	f.wantFile(second.ID, data)
}

func keyOfMovedIsReused(f *fixture) {
	rec := f.chosen()
	rec.Key = "videos/latest.mp4"
	first := f.moved(rec, Content(1, f.size))
	f.wantApart(first, keyed(rec.Key, f.size), Content(2, f.size))
}

func keyOfMovedIsAnID(f *fixture) {
	for range 2 {
		rec, second := f.chosen(), f.chosen()
		second.Created = time.Now().UTC()
		rec.Key = second.ID
		f.wantApart(f.moved(rec, Content(1, f.size)), second, Content(2, f.size))
	}
	if f.h.Key != nil {
		return // then the id of none is its key
	}
	first := f.moved(f.chosen(), Content(1, f.size))
	f.wantApart(first, keyed(first.ID, f.size), Content(2, f.size))
}
