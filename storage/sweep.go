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
	// sweepLock is held by the one node that sweeps. It is no upload's id.
	sweepLock = ".sweep"
	// lookAgain is after how many sweeps Run looks again at an upload that was not
	// complete and has not expired: to look costs requests to the store.
	recheckAfter = 10
	// looksAtOnce is how many uploads are looked at side by side.
	sweepConcurrency = 16
	// standstill is how long a sweep may get nowhere before another node may have a try.
	standstill = time.Hour
)

// Sweep looks at every upload that is not over: it finishes those that are
// complete, tells of those that are owed, removes those that have expired, and
// clears leftovers away. What fails is tried again by the next Sweep; the errors
// are returned together.
func (u *Uploads) Sweep(ctx context.Context) error {
	return (&sweeper{uploads: u}).sweep(ctx)
}

// Run sweeps every interval until ctx is done. Of the nodes that share a store, one
// at a time does.
func (u *Uploads) Run(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	s := &sweeper{uploads: u, recheckInterval: recheckAfter * interval, standstill: standstill}
	for {
		if err := s.sweepLocked(ctx, interval); err != nil && ctx.Err() == nil {
			u.opts.Log.WarnContext(ctx, "a sweep was not complete", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweeper remembers when to look at an upload again.
type sweeper struct {
	uploads         *Uploads
	recheckInterval time.Duration // 0 to look at every upload every time

	standstill time.Duration // 0 for ever
	watch      *time.Timer   // fires when the sweep has stood still for that long, nil if nothing does

	mu   sync.Mutex
	next map[string]time.Time
	errs []error
}

func (s *sweeper) sweepLocked(ctx context.Context, wait time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, min(wait, time.Second))
	defer cancel()
	unlock, err := s.uploads.locker.Lock(waiting, sweepLock, func() {})
	if err != nil {
		return nil // another node is at it
	}
	defer unlock()
	ctx, end := s.watched(ctx, unlock)
	defer end()
	began := time.Now()
	err = s.sweep(ctx)
	if swept := s.uploads.opts.Observer.Sweep; swept != nil && ctx.Err() == nil {
		swept(time.Since(began), err)
	}
	return err
}

// watched is the context of a sweep. If the sweep stands still, it ends, and the lock is
// given back: what keeps this node may not keep the others. This one goes on when it can.
func (s *sweeper) watched(ctx context.Context, unlock func()) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	if s.standstill == 0 {
		return ctx, cancel
	}
	s.watch = time.AfterFunc(s.standstill, func() {
		s.uploads.opts.Log.WarnContext(ctx, "a sweep stands still, and gives its lock back", "for", s.standstill)
		cancel()
		unlock()
	})
	return ctx, func() {
		s.watch.Stop()
		cancel()
	}
}

// advance notes that the sweep does not stand still.
func (s *sweeper) advance() {
	if s.watch != nil && s.watch.Stop() {
		s.watch.Reset(s.standstill)
	}
}

func (s *sweeper) sweep(ctx context.Context) error {
	u, now := s.uploads, s.uploads.opts.Now()
	before := s.next
	s.next, s.errs = map[string]time.Time{}, nil
	var looks errgroup.Group
	looks.SetLimit(sweepConcurrency)
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
		looks.Go(func() error {
			up, err := u.sweepOne(ctx, id)
			s.record(id, s.recheckAt(up, now), err)
			return nil
		})
	}
	_ = looks.Wait() // what failed has been noted
	if c, ok := u.store.(Cleaner); ok {
		s.errs = append(s.errs, c.Clean(ctx, now.Add(-max(tombstoneTTL, u.opts.ExpireAfter))))
	}
	s.errs = append(s.errs, u.cleanFinished(ctx, now))
	return errors.Join(s.errs...)
}

// note remembers when to look at an upload again, and what went wrong: what may pass is
// looked at by the next sweep, what somebody refuses no sooner than anything else.
func (s *sweeper) record(id string, next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	if err != nil {
		s.errs = append(s.errs, err)
	}
	if err == nil || id != "" && !Transient(err) {
		s.next[id] = next
	}
}

// lookAgain is when an upload that was looked at now is to be looked at again: when
// it expires, or after a while.
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
		return up, u.halfDeleted(ctx, id)
	case err != nil:
		return up, err
	case up.Finished && !up.DeliveryPending:
		return up, u.store.MarkDelivered(ctx, up) // half a retirement: do the other half
	case u.expired(up) && !up.awaitsFinish():
		return u.expire(ctx, up)
	}
	settled, err := u.finalize(ctx, up)
	if err != nil && !Transient(err) && !errors.Is(err, ErrGone) && u.expired(up) {
		return u.expire(ctx, up) // nothing will finish it
	}
	return settled, err
}

// expire removes an upload that has expired, if the store says so a second time: what one
// look does not find may be there.
func (u *Uploads) expire(ctx context.Context, up Upload) (Upload, error) {
	now, err := u.store.Load(ctx, up.ID)
	if err != nil || !now.Created.Equal(up.Created) || now.Finished != up.Finished || now.Complete() != up.Complete() || !u.expired(now) {
		return now, err
	}
	return now, u.remove(ctx, now, Expired)
}
