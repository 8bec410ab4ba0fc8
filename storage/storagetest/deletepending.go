package storagetest

import (
	"errors"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

func deletePendingCases() []storeCase {
	return []storeCase{
		{"an upload that is deleted while its delivery is pending keeps it until it is delivered", deletedWhilePending},
		{"an upload that is deleted while it is dead-lettered has none pending", deletedWhileDeadLettered},
		{"the key of an upload that is deleted while its delivery is pending is free", keyOfDeletedWhilePending},
		{"an upload that is deleted while its delivery is pending is marked delivered by another process", deliveredElsewhere},
	}
}

// pendingDeleted checks that an upload was deleted while its event was to be delivered.
func (f *fixture) pendingDeleted(before storage.Upload) storage.Upload {
	f.Helper()
	f.wantGone(before)
	up, err := f.store.Load(f.ctx, before.ID)
	if !errors.Is(err, storage.ErrGone) || !up.Deleted || !up.DeliveryPending || up.DeadLettered || !up.Finished || up.Size != before.Size || !sameRecord(up.Record, before.Record) {
		f.Errorf("deleted with its delivery pending: %+v, %v, before it was %+v", up, err, before)
	}
	if !f.ids()[before.ID] {
		f.Error("it is not listed")
	}
	return up
}

func deletedWhilePending(f *fixture) {
	data := Content(1, f.size)
	for _, rec := range []storage.Record{f.chosen(), {ID: storage.NewID(), Size: storage.Unknown, ClientChosenID: true}} {
		up := f.createAs(rec)
		if rec.Size == storage.Unknown {
			f.setSize(up.ID, f.size)
		}
		f.putAll(up, data)
		finished := f.finish(up.ID, data)
		for range 2 {
			f.delete(up.ID)
			f.pendingDeleted(finished)
		}
		f.clean(f.cleaner(), time.Now().Add(time.Hour))
		deleted := f.pendingDeleted(finished)
		for range 2 {
			if err := f.store.MarkDelivered(f.ctx, deleted); err != nil {
				f.Fatalf("mark delivered: %v", err)
			}
			f.step()
			f.wantForgottenEvent(finished)
		}
	}
}

// wantForgottenEvent checks that an upload is deleted, and no more.
func (f *fixture) wantForgottenEvent(before storage.Upload) {
	f.Helper()
	f.wantGone(before)
	if up, _ := f.store.Load(f.ctx, before.ID); up.DeliveryPending || up.Deleted {
		f.Errorf("still to be delivered: %+v", up)
	}
}

func deletedWhileDeadLettered(f *fixture) {
	data := Content(1, f.size)
	up := f.inState("finished", data)
	if err := f.store.DeadLetter(f.ctx, up); err != nil {
		f.Fatal(err)
	}
	f.step()
	f.delete(up.ID)
	f.wantForgottenEvent(up)

	later := f.inState("finished", data)
	f.delete(later.ID)
	if err := f.store.DeadLetter(f.ctx, f.pendingDeleted(later)); err != nil {
		f.Fatal(err)
	}
	f.step()
	if up, err := f.store.Load(f.ctx, later.ID); !errors.Is(err, storage.ErrGone) || !up.DeadLettered || !up.DeliveryPending {
		f.Errorf("dead-lettered after it was deleted: %+v, %v", up, err)
	}
	f.clean(f.cleaner(), time.Now().Add(time.Hour))
	if up, err := f.store.Load(f.ctx, later.ID); !errors.Is(err, storage.ErrNotFound) {
		f.Errorf("dead-lettered, and deleted long ago: %+v, %v, want ErrNotFound", up, err)
	}
}

func keyOfDeletedWhilePending(f *fixture) {
	data := Content(1, f.size)
	first := f.createAs(keyed("videos/one.mp4", f.size))
	f.putAll(first, data)
	first = f.finish(first.ID, data)
	f.delete(first.ID)
	next := f.createAs(keyed(first.Key, f.size))
	f.putAll(next, Content(2, f.size))
	f.finish(next.ID, Content(2, f.size))
	up, _ := f.store.Load(f.ctx, first.ID)
	if !up.DeliveryPending {
		f.Error("the event of the first is lost")
	}
	if err := f.store.MarkDelivered(f.ctx, up); err != nil {
		f.Fatal(err)
	}
	f.step()
	f.delete(first.ID)
	f.wantFile(next.ID, Content(2, f.size))
}

// the process that delivers the event may have loaded the upload before it was deleted.
func deliveredElsewhere(f *fixture) {
	data := Content(1, f.size)
	up := f.inState("finished", data)
	f.delete(up.ID)
	if err := f.store.MarkDelivered(f.ctx, up); err != nil {
		f.Fatal(err)
	}
	f.step()
	f.wantForgottenEvent(up)
	f.clean(f.cleaner(), time.Now().Add(time.Hour))
	if now, err := f.store.Load(f.ctx, up.ID); !errors.Is(err, storage.ErrNotFound) {
		f.Errorf("long after its deletion: %+v, %v, want ErrNotFound", now, err)
	}
}
