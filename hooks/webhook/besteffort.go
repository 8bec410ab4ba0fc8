package webhook

import (
	"context"
	"time"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/storage"
)

const (
	// notificationWorkers is the number of notifications that are sent at a time.
	notificationWorkers = 4
	// maxNotifications and maxNotificationBytes bound the queue. Beyond them notifications
	// are dropped.
	maxNotifications     = 1000
	maxNotificationBytes = 16 << 20
	// notificationPause is the time before the first retry; it doubles for the next one.
	notificationPause = time.Second
)

// notification is a best-effort hook.
type notification struct {
	message
	event  tusd.HookType
	upload string
}

// notify sends the best-effort hook of an event. post-finish is not among them: the outbox
// delivers it.
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

// progress sends post-receive, at most once per Options.ProgressInterval and upload.
func (a *Webhooks) progress(ctx context.Context, up storage.Upload) {
	if a.receive.passes(up.ID, time.Now()) {
		a.deliverBestEffort(ctx, tusd.HookPostReceive, up.ID+".post-receive."+storage.NewID(), up)
	}
}

// deliverBestEffort queues a notification if its event is among those that are sent.
func (a *Webhooks) deliverBestEffort(ctx context.Context, typ tusd.HookType, id string, up storage.Upload) {
	if n := a.notification(ctx, typ, id, up); n != nil {
		a.enqueue(ctx, n)
	}
}

// notification returns the best-effort hook of an event, nil if the event is not sent.
func (a *Webhooks) notification(ctx context.Context, typ tusd.HookType, id string, up storage.Upload) *notification {
	url := a.url(typ)
	if url == "" {
		return nil
	}
	request := a.request(ctx)
	return &notification{event: typ, upload: up.ID, message: message{
		id: id, url: url, header: a.forward(request), body: a.hook(typ, up, request),
	}}
}

// enqueue adds a notification to the queue, or drops it if the queue is full.
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
		a.opts.Log.WarnContext(ctx, "event queue full; dropping best-effort hooks", "event", n.event, "id", n.upload, "dropped", a.counts.dropped.Load())
	}
}

// runNotifications sends notifications until ctx is done and the queue is empty. Once work
// is done too, the remaining ones fail at once.
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
		a.opts.Log.DebugContext(ctx, "best-effort hook failed", "event", n.event, "id", n.upload, "error", err)
		return
	}
	var r reply
	if n.event != tusd.HookPostReceive || got.decode(&r) != nil || !r.StopUpload || a.opts.OnStop == nil {
		return
	}
	a.opts.Log.InfoContext(ctx, "app stopped the upload", "id", n.upload)
	if err := a.opts.OnStop(ctx, n.upload, stopped(r.HTTPResponse)); err != nil {
		a.opts.Log.WarnContext(ctx, "cannot stop an upload as the app requests", "id", n.upload, "error", err)
	}
}
