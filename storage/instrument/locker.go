package instrument

import (
	"context"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/tracing"
)

// locker is a storage.Locker whose waits are measured.
type locker struct {
	storage.Locker
	m      *Metrics
	waited func(context.Context, time.Duration)
}

// Locker returns inner, measured. Waited, if set, is told how long each request
// waited.
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

// RelayFlush implements storage.FlushRelay. Without the ability there is no other process.
func (l *locker) RelayFlush(ctx context.Context, id string) bool {
	inner, ok := l.Locker.(storage.FlushRelay)
	return ok && inner.RelayFlush(ctx, id)
}

// Lock implements storage.Locker.
func (l *locker) Lock(ctx context.Context, id string, letGo func()) (func(), error) {
	if strings.HasPrefix(id, ".") { // no upload's: who sweeps or tells waits only to see who else does
		return l.Locker.Lock(ctx, id, letGo)
	}
	began := time.Now()
	waiting, end := tracing.Start(ctx, "lock", id)
	unlock, err := l.Locker.Lock(waiting, id, letGo)
	end(err)
	took := time.Since(began)
	l.waited(ctx, took)
	l.m.lockWaits.Observe(took.Seconds())
	if err != nil {
		l.m.lockLate.Inc()
	}
	return unlock, err
}
