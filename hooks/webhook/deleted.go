package webhook

import (
	"context"
	"time"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/storage"
)

// An app that has still to hear of a finished upload when that is deleted hears
// post-finish first, and post-terminate once it has. The first is in the store; the second
// is sent by the process that deleted the upload or, if that has ended, by the one that
// delivers the first.

// deleted tells the app that an upload was deleted, or has expired.
func (a *App) deleted(ctx context.Context, e storage.Event) {
	n := a.note(ctx, tusd.HookPostTerminate, e.ID, e.Upload)
	if n == nil {
		return
	}
	if !a.pending(e.Upload) || !a.outbox.follow(a.parcelOf(e.Upload), n) {
		a.enqueue(ctx, n)
	}
}

// pending reports whether post-finish of an upload is to be delivered.
func (a *App) pending(up storage.Upload) bool {
	return a.url(tusd.HookPostFinish) != "" && up.Finished && up.Owed && !up.Partial && !up.Parked
}

func (a *App) parcelOf(up storage.Upload) *parcel {
	p := &parcel{event: storage.EventID(up.ID, storage.Finished), upload: up.ID, happened: up.Touched}
	p.at = a.outbox.schedule.soon(p, time.Now())
	return p
}

// deletedOf is the note that follows post-finish of an upload that was deleted before that
// was delivered, nil for any other.
func (a *App) deletedOf(ctx context.Context, up storage.Upload) *note {
	if !up.Deleted {
		return nil
	}
	return a.note(ctx, tusd.HookPostTerminate, storage.EventID(up.ID, storage.Deleted), up)
}

// follow has a note sent when the parcel of its upload is done. If there is no parcel it
// adds p. It returns false if there is no room.
func (o *outbox) follow(p *parcel, n *note) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	there, ok := o.all[p.upload]
	if !ok && len(o.all) >= maxPending || !o.kept.take(len(n.body)) {
		return false
	}
	if !ok {
		there = p
		o.all[p.upload] = p
		o.push(p)
	}
	there.kept += len(n.body)
	there.then = n
	return true
}
