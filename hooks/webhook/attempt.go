package webhook

import (
	"context"
	"net/http"
	"sync"
	"time"

	tusd "github.com/tus/tusd/v2/pkg/hooks"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/spans"
)

// lockWithin is how long to wait for the lock of an event: whoever holds it is just
// telling it. After a try that failed the lock is held four times as long, 1 s by
// default: by so much the clocks of nodes may differ, which all try at the same instants.
func (a *App) lockWithin() time.Duration {
	return min(max(a.opts.RetryAfter/20, 5*time.Millisecond), 250*time.Millisecond)
}

// runOutbox tells of what is due, until ctx is done. What is being told then may go on
// until work is done as well.
func (a *App) runOutbox(ctx, work context.Context) {
	select {
	case <-a.ready:
	case <-ctx.Done():
		return
	}
	var running sync.WaitGroup
	defer running.Wait()
	free := make(chan struct{}, inFlight)
	for {
		free <- struct{}{}
		p := a.outbox.take(ctx)
		if p == nil {
			return
		}
		running.Go(func() {
			defer func() { <-free }()
			a.handle(work, p)
		})
	}
}

// handle makes one try, and sees to the next one.
func (a *App) handle(ctx context.Context, p *parcel) {
	again, wait := a.try(ctx, p)
	if !again {
		if n := a.outbox.done(p); n != nil {
			a.enqueue(ctx, n)
		} else if p.follows != nil {
			a.enqueue(ctx, p.follows)
		}
		return
	}
	p.tried, p.fresh = true, nil
	a.outbox.later(p, a.nextTry(p, time.Now().Add(wait)))
}

// nextTry is the first instant of the schedule after the given time. One that is over
// its last has been parked, or could not be: that is tried again in a while.
func (a *App) nextTry(p *parcel, after time.Time) time.Time {
	if at, ok := a.outbox.schedule.next(p.event, p.happened, after); ok {
		return at
	}
	return after.Add(everyStep * a.opts.RetryAfter)
}

// try tells the app of a parcel, unless another node does or has. It returns whether
// and after which pause there is more to do.
func (a *App) try(ctx context.Context, p *parcel) (again bool, wait time.Duration) {
	waiting, cancel := context.WithTimeout(ctx, a.lockWithin())
	defer cancel()
	unlock, err := a.core.LockTelling(waiting, p.upload)
	if err != nil {
		return true, 0
	}
	defer func() {
		if again { // others who try at this instant shall find that it is over
			time.AfterFunc(4*a.lockWithin(), unlock)
			return
		}
		unlock()
	}()
	up, owed, err := a.owed(ctx, p)
	switch {
	case err != nil:
		a.opts.Log.WarnContext(ctx, "whether the app knows of an upload can't be seen", "id", p.upload, "error", err)
		return true, 0
	case !owed || up.Parked:
		return false, 0
	}
	return a.tryLocked(ctx, p, up)
}

func (a *App) owed(ctx context.Context, p *parcel) (storage.Upload, bool, error) {
	if p.fresh != nil {
		return *p.fresh, true, nil
	}
	up, owed, err := a.core.Owed(ctx, p.upload)
	if err == nil && owed && !up.Touched.IsZero() {
		p.happened = up.Touched // as all nodes see it
	}
	return up, owed, err
}

func (a *App) tryLocked(ctx context.Context, p *parcel, up storage.Upload) (again bool, wait time.Duration) {
	if !p.heard && !p.refused {
		if wait, err := a.send(ctx, p, up); err != nil {
			return a.failed(ctx, p, up, wait, err)
		}
	}
	if p.refused {
		return !a.park(ctx, p, up, "it wants none of it"), 0
	}
	if err := a.core.Told(ctx, up); err != nil {
		a.opts.Log.WarnContext(ctx, "the app heard of an upload, which could not be noted", "id", p.upload, "error", err)
		return true, 0
	}
	p.follows = a.deletedOf(ctx, up)
	a.opts.Log.InfoContext(ctx, "the app heard of a finished upload", "id", p.upload, "event", p.event)
	return false, 0
}

// send sends the event once, and remembers what the app makes of it. If that is
// nothing, it returns how long the app asks to wait.
func (a *App) send(ctx context.Context, p *parcel, up storage.Upload) (time.Duration, error) {
	if p.span != nil {
		ctx = trace.ContextWithSpan(ctx, p.span)
	}
	ctx, end := spans.Start(ctx, "notify", p.upload)
	a.counts.sending.Add(1)
	got, err := a.client.post(ctx, message{
		id: p.event, url: a.url(tusd.HookPostFinish),
		header: a.forward(p.request), body: a.hook(tusd.HookPostFinish, up, p.request),
	})
	a.counts.sending.Add(-1)
	end(err)
	switch {
	case err != nil:
		return 0, err
	case got.taken():
		p.heard = true
		a.counts.delivered.Add(1)
		return 0, nil
	case got.status == http.StatusGone:
		p.refused = true
		return 0, nil
	}
	return got.retryAfter(time.Now()), got.err()
}

// failed parks what has been tried for long enough. The first failure is logged for
// people to see, later ones of the same upload say no more.
func (a *App) failed(ctx context.Context, p *parcel, up storage.Upload, wait time.Duration, err error) (bool, time.Duration) {
	a.counts.failed.Add(1)
	next, more := a.outbox.schedule.next(p.event, p.happened, time.Now().Add(wait))
	if !more && ctx.Err() == nil {
		return !a.park(ctx, p, up, err.Error()), wait
	}
	log := a.opts.Log.WarnContext
	if p.tried {
		log = a.opts.Log.DebugContext
	}
	log(ctx, "the app could not be told of a finished upload", "id", p.upload, "event", p.event, "error", err, "next", next)
	return true, wait
}

// park gives up on an event for now: it stays where people find it.
func (a *App) park(ctx context.Context, p *parcel, up storage.Upload, why string) bool {
	if err := a.core.Park(ctx, up); err != nil {
		a.opts.Log.WarnContext(ctx, "an event could not be parked", "id", p.upload, "error", err)
		return false
	}
	a.counts.parked.Add(1)
	a.opts.Log.ErrorContext(ctx, "the app is not told of a finished upload any more: see holdfast owed", "id", p.upload, "event", p.event, "why", why)
	return true
}
