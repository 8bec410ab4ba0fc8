package instrument

import (
	"context"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/tracing"
)

// locker is a storage.Locker that measures waits.
type locker struct {
	storage.Locker
	m      *Metrics
	waited func(context.Context, time.Duration)
}

// Locker returns inner with metrics. Waited, if set, is called with the time that each
// request waited.
func (m *Metrics) Locker(inner storage.Locker, waited func(context.Context, time.Duration)) storage.Locker {
	if waited == nil {
		waited = func(context.Context, time.Duration) {}
	}
	return &locker{inner, m, waited}
}

var _ storage.FlushRelay = (*locker)(nil)

// OnFlush implements storage.FlushRelay, if the inner one does.
func (l *locker) OnFlush(flush func(ctx context.Context, id string)) {
	if inner, ok := l.Locker.(storage.FlushRelay); ok {
		inner.OnFlush(flush)
	}
}

// RelayFlush implements storage.FlushRelay. An inner locker without it has no other process
// to ask.
func (l *locker) RelayFlush(ctx context.Context, id string) bool {
	inner, ok := l.Locker.(storage.FlushRelay)
	return ok && inner.RelayFlush(ctx, id)
}

// Lock implements storage.Locker.
func (l *locker) Lock(ctx context.Context, id string, onContended func()) (func(), error) {
	if strings.HasPrefix(id, ".") { // not an upload's: the sweep and delivery locks are not request waits
		return l.Locker.Lock(ctx, id, onContended)
	}
	began := time.Now()
	spanCtx, end := tracing.Start(ctx, "lock", id)
	unlock, err := l.Locker.Lock(spanCtx, id, onContended)
	end(err)
	took := time.Since(began)
	l.waited(ctx, took)
	l.m.lockWaits.Observe(took.Seconds())
	if err != nil {
		l.m.lockTimeouts.Inc()
	}
	return unlock, err
}
