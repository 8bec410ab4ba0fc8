package storagetest

import (
	"bytes"
	"errors"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func deleteCases() []storeCase {
	return []storeCase{
		{"an upload can be deleted in every state, and twice", deleteInEveryState},
		{"nothing brings a deleted upload back", deletedStaysDeleted},
		{"what does not exist can be deleted", deleteNothing},
		{"a write that outlives its upload is lost", deleteDuringWrite},
		{"deleting and finishing at once leaves nothing", deleteDuringFinish},
		{"a reader of a file that is deleted reads no wrong byte", deleteDuringRead},
		{"the list holds what may have to be finished, delivered or expired", listHoldsUndelivered},
		{"the list can be worked off while it is read", listCanBeWorkedOff},
		{"cleaning forgets the deleted and harms no upload", cleanHarmsNothing},
	}
}

// inState makes an upload that has reached the named state.
func (f *fixture) inState(state string, data []byte) storage.Upload {
	f.Helper()
	size := int64(len(data))
	rec := storage.Record{ID: storage.NewID(), Size: size, ClientChosenID: true, Partial: state == "partial finished"}
	if state == "unknown size" || state == "declared" {
		rec.Size = storage.Unknown
	}
	up := f.createAs(rec)
	switch state {
	case "new":
	case "begun", "unknown size":
		f.put(up, data, ranges.Of(0, size/3))
	case "scattered":
		f.put(up, data, ranges.Of(1, size/4))
		f.put(up, data, ranges.Of(size/2, size/4))
	case "declared":
		f.put(up, data, ranges.Of(0, size/3))
		f.setSize(up.ID, size)
	case "complete":
		f.putAll(up, data)
	case "finished", "partial finished":
		f.putAll(up, data)
		f.finish(up.ID, data)
	case "delivered":
		f.putAll(up, data)
		f.finish(up.ID, data)
		f.markDelivered(up.ID)
	}
	return f.load(up.ID)
}

var states = []string{"new", "begun", "unknown size", "scattered", "declared", "complete", "finished", "delivered",
	"partial finished"}

func deleteInEveryState(f *fixture) {
	data := Content(1, f.size)
	for _, state := range states {
		up := f.inState(state, data)
		f.delete(up.ID)
		f.wantGone(up)
		f.delete(up.ID)
		f.wantGone(up)
	}
	up := f.create(10)
	errs := together(3, func(int) error { return f.store.Delete(f.ctx, up.ID) })
	if err := errors.Join(errs...); err != nil {
		f.Errorf("delete at once: %v", err)
	}
	f.wantGone(up)
}

// What is done to a deleted upload may fail, or succeed and be lost.
func deletedStaysDeleted(f *fixture) {
	data := Content(1, f.size)
	for _, state := range states {
		up := f.inState(state, data)
		f.delete(up.ID)
		check := func() {
			f.Helper()
			f.step()
			f.wantMarkedGone(up)
		}
		_ = f.store.Write(f.ctx, up, chunk(0, bytes.NewReader(data)), newReports(f).stored(up))
		check()
		_ = f.store.SetSize(f.ctx, up.ID, f.size)
		check()
		if _, err := f.store.Finish(f.ctx, up); err == nil {
			f.Errorf("%s: a deleted upload was finished", state)
		}
		check()
		up.Finished, up.DeliveryPending = true, true
		_ = f.store.MarkDelivered(f.ctx, up)
		check()
		f.wantGoneAfterRace(up)
	}
}

func deleteNothing(f *fixture) {
	id := storage.NewID()
	f.delete(id)
	f.delete(id)
	if _, err := f.store.Load(f.ctx, id); !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrGone) {
		f.Errorf("load: %v, want ErrNotFound or ErrGone", err)
	}
	f.create(10)
}

func deleteDuringWrite(f *fixture) {
	data := Content(1, f.size)
	for _, n := range []int64{0, 1, f.size / 2, f.size} {
		up := f.create(f.size)
		src := NewGate(bytes.NewReader(data[:n]), bytes.NewReader(data[n:]))
		rep := newReports(f)
		store, done := f.store, make(chan error, 1)
		go func() {
			err := store.Write(f.ctx, up, chunk(0, src), rep.stored(up))
			rep.end()
			done <- err
		}()
		<-src.Reached
		if err := f.store.Delete(f.ctx, up.ID); err != nil {
			f.Errorf("delete during a write: %v", err)
		}
		f.wantMarkedGone(up)
		if n < f.size { // or else what has come may be on its way to a file
			f.wantNoFile(up)
		}
		src.Open()
		if err := <-done; err != nil && !errors.Is(err, storage.ErrGone) && !errors.Is(err, storage.ErrNotFound) {
			f.Errorf("write of a deleted upload: %v, want ErrGone", err)
		}
		f.step()
		f.wantGoneAfterRace(up)
	}
}

// deleteWhileFinishing finishes and deletes a complete upload at once, and returns it.
func (f *fixture) deleteWhileFinishing(seed uint64) storage.Upload {
	up := f.inState("complete", Content(seed, f.size/8))
	together(2, func(i int) error {
		if i == 0 {
			_, _ = f.store.Finish(f.ctx, up.Clone()) // it may come too late
		} else if err := f.store.Delete(f.ctx, up.ID); err != nil {
			f.Errorf("delete during finish: %v", err)
		}
		return nil
	})
	f.step()
	return up
}

func deleteDuringFinish(f *fixture) {
	for i := range 8 {
		up := f.deleteWhileFinishing(uint64(i))
		f.wantGoneAfterRace(up)
	}
}

func deleteDuringRead(f *fixture) {
	data := Content(1, f.size)
	up := f.inState("finished", data)
	file, err := f.store.Open(f.ctx, up, 0)
	if err != nil {
		f.Fatalf("open: %v", err)
	}
	defer file.Close()
	if err := f.store.Delete(f.ctx, up.ID); err != nil {
		f.Fatalf("delete: %v", err)
	}
	var got bytes.Buffer
	_, _ = got.ReadFrom(file) // it may fail, or know the file still
	if !bytes.HasPrefix(data, got.Bytes()) {
		f.Errorf("%d bytes read after the delete are not those of the file", got.Len())
	}
	f.wantGone(up)
}

func listHoldsUndelivered(f *fixture) {
	data := Content(1, 1000)
	if ids := f.ids(); len(ids) != 0 {
		f.Errorf("an empty store lists %v", ids)
	}
	byState := map[string]string{}
	for _, state := range states {
		byState[state] = f.inState(state, data).ID
	}
	deleted := f.inState("begun", data)
	f.delete(deleted.ID)
	ids := f.ids()
	for state, id := range byState {
		if state != "delivered" && !ids[id] {
			f.Errorf("the list lacks an upload that is %s", state)
		}
		delete(ids, id)
	}
	delete(ids, deleted.ID)
	if len(ids) != 0 {
		f.Errorf("the list holds %v, which were not created", ids)
	}
	for range f.store.List(f.ctx) {
		break
	}
}

func listCanBeWorkedOff(f *fixture) {
	data := Content(1, 1000)
	for i := range 30 {
		f.inState([]string{"begun", "complete", "partial finished"}[i%3], data)
	}
	listed := 0
	for id, err := range f.store.List(f.ctx) {
		if err != nil {
			f.Fatalf("list: %v", err)
		}
		listed++
		up, err := f.store.Load(f.ctx, id)
		if err == nil && up.Complete() && !up.Finished {
			_, err = f.store.Finish(f.ctx, up)
		}
		if err = errors.Join(err, f.store.Delete(f.ctx, id)); err != nil {
			f.Errorf("in the middle of the list: %v", err)
		}
	}
	if listed != 30 {
		f.Errorf("%d uploads were listed, want 30", listed)
	}
	f.step()
	for id := range f.ids() {
		if _, err := f.store.Load(f.ctx, id); err == nil {
			f.Errorf("%s was deleted, and is there", id)
		}
	}
}

func cleanHarmsNothing(f *fixture) {
	cleaner := func() storage.Cleaner { c, _ := f.store.(storage.Cleaner); return c }
	if cleaner() == nil {
		return
	}
	data := Content(1, f.size)
	ups := map[string]storage.Upload{}
	for _, state := range states {
		ups[state] = f.inState(state, data)
	}
	deleted := f.inState("scattered", data)
	f.delete(deleted.ID)

	f.clean(cleaner(), time.Now().Add(-time.Hour))
	f.wantGone(deleted)
	f.clean(cleaner(), time.Now().Add(time.Hour))
	if _, err := f.store.Load(f.ctx, deleted.ID); !errors.Is(err, storage.ErrNotFound) {
		f.Errorf("load what was deleted long ago: %v, want ErrNotFound", err)
	}
	f.createAs(storage.Record{ID: deleted.ID, Size: 10, ClientChosenID: true})
	for state, up := range ups {
		if now := f.load(up.ID); !now.Received.Equal(up.Received) || now.Finished != up.Finished || now.Size != up.Size {
			f.Errorf("%s: %+v before the cleaning, %+v after it", state, up, now)
		}
		if up.Size == storage.Unknown {
			f.setSize(up.ID, f.size)
		}
		f.put(up, data, ranges.Of(0, f.size))
		f.finish(up.ID, data)
	}
}

func (f *fixture) clean(c storage.Cleaner, before time.Time) {
	f.Helper()
	if err := c.Clean(f.ctx, before); err != nil {
		f.Fatalf("clean: %v", err)
	}
	f.step()
}
