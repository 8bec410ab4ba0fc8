package webhook

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-upload/holdfast/storage"
)

const (
	// inFlight is how many finished uploads are told of at once.
	inFlight = 16
	// maxPending is how many wait to be. What is beyond is left to the sweeper, which
	// comes by again.
	maxPending = 1 << 16
	// maxKept is how many bytes of what is known of new ones are kept, in all.
	maxKept = 16 << 20
)

// parcel is a finished upload of which the app has to hear.
type parcel struct {
	event, upload string // ids
	happened      time.Time
	at            time.Time // the next try
	request       handler.HTTPRequest
	fresh         *storage.Upload // nil if the store has to be asked whether it is still owed
	kept          int             // bytes of maxKept that it takes
	span          trace.Span      // of the request that finished it, nil if unknown

	then    *note // to be sent when this is done, nil if nothing is; guarded by outbox.mu
	follows *note // the same, if the store says that it was deleted
	tried   bool
	// What the app has said, as long as the store could not be told.
	heard, refused bool
}

// outbox holds the parcels that wait, in the order of their next tries. Every upload
// is in it once.
type outbox struct {
	schedule schedule
	kept     budget

	mu      sync.Mutex
	waiting queue
	all     map[string]*parcel // those that wait or are being told, by upload
	changed chan struct{}      // holds a token if there may be something sooner
}

func newOutbox(s schedule) *outbox {
	return &outbox{schedule: s, kept: budget{left: maxKept}, all: map[string]*parcel{}, changed: make(chan struct{}, 1)}
}

// deliver takes charge of an event that is owed.
func (a *App) deliver(ctx context.Context, e storage.Event) {
	p := &parcel{event: e.ID, upload: e.Upload.ID, happened: e.Upload.Touched}
	now := time.Now()
	if e.Fresh {
		p.at, p.span = now, trace.SpanFromContext(ctx)
		a.keep(ctx, p, e.Upload)
	} else {
		p.at = a.outbox.schedule.soon(p, now)
	}
	if !a.outbox.add(p) {
		a.counts.overflowed.Add(1)
	}
}

// keep has the parcel remember what it would cost to ask for, and what nobody will
// know later, if there is room for that.
func (a *App) keep(ctx context.Context, p *parcel, up storage.Upload) {
	request := a.request(ctx)
	kept := size(request) + 512 + 128*(len(up.Pieces)+up.Received.Count())
	for name, value := range up.Metadata {
		kept += len(name) + len(value)
	}
	if a.outbox.kept.take(kept) {
		p.fresh, p.request, p.kept = &up, request, kept
	}
}

// soon is when to try what somebody else may be about to tell: at the next instant
// for that, or at once if there is none any more.
func (s schedule) soon(p *parcel, now time.Time) time.Time {
	if at, ok := s.next(p.event, p.happened, now); ok && now.Sub(p.happened) < s.offset(2) {
		return at
	}
	return now
}

// add returns false if there is no room.
func (o *outbox) add(p *parcel) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, there := o.all[p.upload]
	if there || len(o.all) >= maxPending {
		o.kept.give(p.kept)
		return there
	}
	o.all[p.upload] = p
	o.push(p)
	return true
}

// push has p wait for its time. The caller holds the mutex.
func (o *outbox) push(p *parcel) {
	heap.Push(&o.waiting, p)
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// take waits until a parcel is due, and returns nil if ctx is done first.
func (o *outbox) take(ctx context.Context) *parcel {
	for {
		p, wait := o.due(time.Now())
		if p != nil && ctx.Err() == nil {
			return p
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-o.changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// due takes out the first parcel if its time has come, or tells when to look again.
func (o *outbox) due(now time.Time) (*parcel, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		return nil, time.Hour
	}
	if wait := o.waiting[0].at.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&o.waiting).(*parcel), 0
}

// later has the parcel wait for another try.
func (o *outbox) later(p *parcel, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p.at = at
	o.push(p)
}

// done is the end of a parcel. It returns what is to be sent after it, nil if nothing is.
func (o *outbox) done(p *parcel) *note {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.all, p.upload)
	o.kept.give(p.kept)
	return p.then
}

func (o *outbox) pending() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.all)
}

// queue implements heap.Interface: the parcel with the earliest try comes first.
type queue []*parcel

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(p any)        { *q = append(*q, p.(*parcel)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return p
}
