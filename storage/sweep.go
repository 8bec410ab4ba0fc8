package storage

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// sweepLock is held by the one node that sweeps. It is no upload's id.
	sweepLock = ".sweep"
	// lookAgain is after how many sweeps Run looks again at an upload that was not
	// complete and has not expired: to look costs requests to the store.
	lookAgain = 10
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
	s := &sweeper{uploads: u, patience: lookAgain * interval}
	for {
		if err := s.sweepAlone(ctx, interval); err != nil && ctx.Err() == nil {
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
	uploads  *Uploads
	patience time.Duration // 0 to look at every upload every time
	next     map[string]time.Time
}

func (s *sweeper) sweepAlone(ctx context.Context, wait time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, min(wait, time.Second))
	defer cancel()
	unlock, err := s.uploads.Lock(waiting, sweepLock, func() {})
	if err != nil {
		return nil // another node is at it
	}
	defer unlock()
	return s.sweep(ctx)
}

func (s *sweeper) sweep(ctx context.Context) error {
	u, now := s.uploads, s.uploads.opts.Now()
	before := s.next
	s.next = map[string]time.Time{}
	var errs []error
	for id, err := range u.store.List(ctx) {
		if err != nil {
			errs = append(errs, fmt.Errorf("list uploads: %w", err))
			break
		}
		if at := before[id]; now.Before(at) {
			s.next[id] = at
			continue
		}
		up, err := u.sweepOne(ctx, id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.next[id] = now.Add(s.patience)
		if at := u.Expires(up); !at.IsZero() && at.Before(s.next[id]) {
			s.next[id] = at
		}
	}
	if c, ok := u.store.(Cleaner); ok {
		errs = append(errs, c.Clean(ctx, now.Add(-max(keepGone, u.opts.ExpireAfter))))
	}
	return errors.Join(errs...)
}

func (u *Uploads) sweepOne(ctx context.Context, id string) (Upload, error) {
	up, err := u.store.Load(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return up, nil
	case errors.Is(err, ErrGone):
		return up, u.store.Delete(ctx, id) // half a delete: do the other half
	case err != nil:
		return up, err
	case u.expired(up):
		return up, u.remove(ctx, up, Expired)
	}
	return u.settle(ctx, up)
}
