package holdfast

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// readyFor is how long /readyz repeats its last result: however many probes there are, the
// store is asked once in that time.
const readyFor = time.Second

// readiness is the last result of a check. Concurrent callers share one check, which none of
// them can cancel.
type readiness struct {
	flight singleflight.Group

	mu  sync.Mutex
	at  time.Time // when the check ended, zero before the first
	err error
}

// of returns the result of check, which is at most readyFor old.
func (r *readiness) of(ctx context.Context, check func(context.Context) error) error {
	if err, ok := r.last(); ok {
		return err
	}
	result := r.flight.DoChan("", func() (any, error) {
		err := check(context.WithoutCancel(ctx))
		r.mu.Lock()
		defer r.mu.Unlock()
		r.at, r.err = time.Now(), err
		return nil, err
	})
	select {
	case got := <-result:
		return got.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *readiness) last() (err error, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err, !r.at.IsZero() && time.Since(r.at) < readyFor
}

// readyNow is Ready for probes. Only what the store says is cached: a shutdown shows at once.
func (s *Server) readyNow(ctx context.Context) error {
	if s.draining.Load() {
		return s.Ready(ctx)
	}
	return s.ready.of(ctx, s.uploads.Check)
}
