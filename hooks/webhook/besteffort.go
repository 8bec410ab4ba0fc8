package webhook

import (
	"context"
	"time"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/storage"
)

const (
	// noteWorkers is how many notes are sent at once.
	notificationWorkers = 4
	// maxNotes and maxNoteBytes are how many wait to be, and how many bytes they have
	// in all. What is beyond is dropped.
	maxNotifications     = 1000
	maxNotificationBytes = 16 << 20
	// notePause is how long to wait before the second try; twice as long before the
	// third, which is the last.
	notificationPause = time.Second
)

// note is something that the app hears if that succeeds soon.
type notification struct {
	message
	event  tusd.HookType
	upload string
}

// notify tells of an event, but not of a finished upload: that is owed.
func (a *Webhooks) notify(ctx context.Context, e storage.Event) {
	switch e.Type {
	case storage.Created:
		a.deliverBestEffort(ctx, tusd.HookPostCreate, e.ID, e.Upload)
	case storage.Deleted, storage.Expired:
		if !a.deliversFirst(e.Upload) {
			a.deliverBestEffort(ctx, tusd.HookPostTerminate, e.ID, e.Upload)
		}
	}
}

// progress tells how far an upload is, now and then.
func (a *Webhooks) progress(ctx context.Context, up storage.Upload) {
	if a.receive.passes(up.ID, time.Now()) {
		a.deliverBestEffort(ctx, tusd.HookPostReceive, up.ID+".post-receive."+storage.NewID(), up)
	}
}

// tell sends a note, if its event is among those that are sent.
func (a *Webhooks) deliverBestEffort(ctx context.Context, typ tusd.HookType, id string, up storage.Upload) {
	if n := a.note(ctx, typ, id, up); n != nil {
		a.enqueue(ctx, n)
	}
}

// note is what the app hears of an event, nil if that is not among those that are sent.
func (a *Webhooks) note(ctx context.Context, typ tusd.HookType, id string, up storage.Upload) *notification {
	url := a.url(typ)
	if url == "" {
		return nil
	}
	request := a.request(ctx)
	return &notification{event: typ, upload: up.ID, message: message{
		id: id, url: url, header: a.forward(request), body: a.hook(typ, up, request),
	}}
}

// enqueue puts a note into the queue, or drops it if that is full.
func (a *Webhooks) enqueue(ctx context.Context, n *notification) {
	if a.notificationSize.TryAcquire(int64(len(n.body))) {
		select {
		case a.notifications <- *n:
			return
		default:
			a.notificationSize.Release(int64(len(n.body)))
		}
	}
	a.counts.dropped.Add(1)
	if a.warned.passes("", time.Now()) {
		a.opts.Log.WarnContext(ctx, "the app takes no news: they are dropped", "event", n.event, "id", n.upload, "dropped", a.counts.dropped.Load())
	}
}

// runNotes sends notes until ctx is done and none is left. Once work is done as well,
// what is left fails at once.
func (a *Webhooks) runNotifications(ctx, work context.Context) {
	for {
		select {
		case n := <-a.notifications:
			a.sendNotification(work, n)
			continue
		default:
		}
		if ctx.Err() != nil {
			return
		}
		select {
		case n := <-a.notifications:
			a.sendNotification(work, n)
		case <-ctx.Done():
		}
	}
}

func (a *Webhooks) sendNotification(ctx context.Context, n notification) {
	defer a.notificationSize.Release(int64(len(n.body)))
	got, err := a.client.postWithRetry(ctx, n.message, notificationPause)
	if err != nil {
		a.counts.bestEffortFailed.Add(1)
		a.opts.Log.DebugContext(ctx, "the app did not take a hook", "event", n.event, "id", n.upload, "error", err)
		return
	}
	var r reply
	if n.event != tusd.HookPostReceive || got.decode(&r) != nil || !r.StopUpload || a.opts.OnStop == nil {
		return
	}
	a.opts.Log.InfoContext(ctx, "the app stops an upload", "id", n.upload)
	if err := a.opts.OnStop(ctx, n.upload); err != nil {
		a.opts.Log.WarnContext(ctx, "an upload that the app stops is still there", "id", n.upload, "error", err)
	}
}
