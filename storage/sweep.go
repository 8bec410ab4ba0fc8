package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// sweepLock is held by the node that sweeps. It is not a valid upload id.
	sweepLock = ".sweep"
	// recheckAfter is the number of sweeps after which Run checks again an upload that was
	// incomplete and not expired: a check costs store requests.
	recheckAfter = 10
	// sweepConcurrency is the number of uploads that are checked concurrently.
	sweepConcurrency = 16
	// stallTimeout is how long a sweep may make no progress before another node may try.
	stallTimeout = time.Hour
)

// Sweep checks every upload that List yields: it finishes those that are complete,
// publishes pending events, removes expired uploads, and cleans up leftovers. What
// fails is retried by the next Sweep; the errors are joined.
func (u *Uploads) Sweep(ctx context.Context) error {
	return (&sweeper{uploads: u}).sweep(ctx)
}

// Run does the work between requests until ctx is done: it sweeps every interval, and runs
// what the store (see Runner) and the Observer have to do. Of the nodes that share a store,
// only one sweeps at a time.
func (u *Uploads) Run(ctx context.Context, interval time.Duration) {
	run := sideBySide(func(ctx context.Context) { u.sweepEvery(ctx, interval) }, u.opts.Observer.Run)
	if store, ok := u.store.(Runner); ok {
		run = sideBySide(run, store.Run)
	}
	run(ctx)
}

func (u *Uploads) sweepEvery(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	s := &sweeper{uploads: u, recheckInterval: recheckAfter * interval, stallTimeout: stallTimeout}
	for {
		if err := s.sweepLocked(ctx, interval); err != nil && ctx.Err() == nil {
			u.opts.Log.WarnContext(ctx, "sweep failed for some uploads; it will be retried", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweeper remembers when to check an upload again.
type sweeper struct {
	uploads         *Uploads
	recheckInterval time.Duration // 0 checks every upload in every sweep

	stallTimeout time.Duration // 0 for none
	stallTimer   *time.Timer   // fires after stallTimeout without progress, nil if there is none

	mu   sync.Mutex
	next map[string]time.Time
	errs []error
}

func (s *sweeper) sweepLocked(ctx context.Context, wait time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, min(wait, time.Second))
	defer cancel()
	unlock, err := s.uploads.locker.Lock(waiting, sweepLock, func() {})
	if err != nil {
		return nil // another node is sweeping
	}
	defer unlock()
	ctx, end := s.withStallTimeout(ctx, unlock)
	defer end()
	start := time.Now()
	err = s.sweep(ctx)
	if swept := s.uploads.opts.Observer.Sweep; swept != nil && ctx.Err() == nil {
		swept(time.Since(start), err)
	}
	return err
}

// withStallTimeout returns the context of a sweep. If the sweep stalls, the context is
// canceled and the lock released: what blocks this node may not block the others. This
// node continues when it can.
func (s *sweeper) withStallTimeout(ctx context.Context, unlock func()) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	if s.stallTimeout == 0 {
		return ctx, cancel
	}
	s.stallTimer = time.AfterFunc(s.stallTimeout, func() {
		s.uploads.opts.Log.WarnContext(ctx, "sweep stalled; releasing its lock", "for", s.stallTimeout)
		cancel()
		unlock()
	})
	return ctx, func() {
		s.stallTimer.Stop()
		cancel()
	}
}

// advance records progress of the sweep.
func (s *sweeper) advance() {
	if s.stallTimer != nil && s.stallTimer.Stop() {
		s.stallTimer.Reset(s.stallTimeout)
	}
}

func (s *sweeper) sweep(ctx context.Context) error {
	u, now := s.uploads, s.uploads.opts.Now()
	before := s.next
	s.next, s.errs = map[string]time.Time{}, nil
	var checks errgroup.Group
	checks.SetLimit(sweepConcurrency)
	for id, err := range u.store.List(ctx) {
		if err != nil {
			s.record("", time.Time{}, fmt.Errorf("list uploads: %w", err))
			break
		}
		s.advance()
		if at := before[id]; now.Before(at) {
			s.record(id, at, nil)
			continue
		}
		checks.Go(func() error {
			up, err := u.sweepOne(ctx, id)
			s.record(id, s.recheckAt(up, now), err)
			return nil
		})
	}
	_ = checks.Wait() // errors are in s.errs
	if c, ok := u.store.(Cleaner); ok {
		s.errs = append(s.errs, c.Clean(ctx, now.Add(-max(tombstoneTTL, u.opts.ExpireAfter))))
	}
	s.errs = append(s.errs, u.cleanFinished(ctx, now))
	return errors.Join(s.errs...)
}

// record remembers when to check an upload again, and its error. After a transient error
// the next sweep checks it; after any other error it waits as long as without one. That
// another node completes an upload is no error.
func (s *sweeper) record(id string, next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	if err != nil && !errors.Is(err, ErrCompleting) {
		s.errs = append(s.errs, err)
	}
	if err == nil || id != "" && !Transient(err) {
		s.next[id] = next
	}
}

// recheckAt returns when to check again an upload that was checked now: when it expires,
// or after recheckInterval.
func (s *sweeper) recheckAt(up Upload, now time.Time) time.Time {
	next := now.Add(s.recheckInterval)
	if at := s.uploads.Expires(up); !at.IsZero() && at.Before(next) {
		return at
	}
	return next
}

func (u *Uploads) sweepOne(ctx context.Context, id string) (Upload, error) {
	up, err := u.store.Load(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return up, nil
	case errors.Is(err, ErrGone) && up.deliveryPending():
		u.publishFinished(ctx, u.event(Finished, up).replayed())
		return up, nil
	case errors.Is(err, ErrGone):
		return up, u.resumeDeletion(ctx, id)
	case err != nil:
		return up, err
	case up.Finished && !up.DeliveryPending:
		return up, u.store.MarkDelivered(ctx, up) // complete an interrupted MarkDelivered
	case u.expired(up) && !up.awaitsFinish():
		return u.expire(ctx, up)
	}
	finalized, err := u.finalize(ctx, up)
	if err != nil && !Transient(err) && !errors.Is(err, ErrGone) && u.expired(up) {
		return u.expire(ctx, up) // the failure is permanent
	}
	return finalized, err
}

// expire removes an expired upload, if a second Load agrees: a single Load may miss data
// that is there.
func (u *Uploads) expire(ctx context.Context, up Upload) (Upload, error) {
	now, err := u.store.Load(ctx, up.ID)
	if err != nil || !now.Created.Equal(up.Created) || now.Finished != up.Finished || now.Complete() != up.Complete() || !u.expired(now) {
		return now, err
	}
	return now, u.remove(ctx, now, Expired)
}
