package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// MaxRanges is how many separate ranges an upload may consist of while it is
// incomplete: it bounds what a hostile client can make the server remember.
const MaxRanges = 10_000

// MaxParts is how many parts a concatenation may have, for the same reason.
const MaxParts = 1000

// Options are the rules that Uploads applies. The zero value has no limits.
type Options struct {
	// MaxSize is the largest size of an upload in bytes; 0 is no limit.
	MaxSize int64
	// ExpireAfter is how long after its last byte an unfinished upload is kept; 0
	// is for ever.
	ExpireAfter time.Duration
	// RememberFinished is how long an upload stays complete after its event was delivered,
	// although its file was moved or deleted; 0 is not at all.
	RememberFinished time.Duration
	// Policy decides what may happen to uploads.
	Policy Policy
	// Observer is told what happens to uploads.
	Observer Observer
	// Delivery says how the app is told of finished uploads.
	Delivery DeliveryOptions

	// Now is the clock, time.Now if nil.
	Now func() time.Time
	// Log is where to report what no caller gets to see, slog.Default() if nil.
	Log *slog.Logger
}

// Uploads is the core. Its methods may be called by several goroutines, and for
// the same upload. Create it with New.
type Uploads struct {
	store  Store
	locker Locker
	cache  Cache
	opts   Options
	outbox *outbox // nil without a Deliverer
	// enqueue hands an event to the outbox; nil without one.
	enqueue func(ctx context.Context, e Event)

	finalizing singleflight.Group // by upload id
	loading    flights
	first      gates // of those who look for uploads that may have to be created

	mu        sync.Mutex
	active    map[string]int       // writes in progress, by upload id
	flushed   map[string]time.Time // when those were last flushed
	published map[string]time.Time // when finished uploads were told of here, by id
	broken    map[string]deletion  // that failed half way, by id
	forgot    time.Time            // when told was last cleared of what is old

	nextForget time.Time // when to have the store forget: see forget
}

// New returns the core over a store, which is the truth, a locker and an index.
func New(store Store, locker Locker, index Cache, opts Options) *Uploads {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	u := &Uploads{store: store, locker: locker, cache: index, opts: opts,
		active: map[string]int{}, flushed: map[string]time.Time{}, published: map[string]time.Time{}, broken: map[string]deletion{}}
	if opts.Delivery.Deliverer != nil {
		u.outbox = newOutbox(u, opts.Delivery, opts.Log)
		u.enqueue = u.outbox.enqueue
	}
	if l, ok := locker.(FlushRelay); ok {
		l.OnFlush(func(ctx context.Context, id string) { u.flushOwn(ctx, id) })
	}
	u.forgetDue(opts.Now())
	return u
}

// MaxSize is the largest size of an upload in bytes, 0 if there is no limit.
func (u *Uploads) MaxSize() int64 { return u.opts.MaxSize }

// ExpireAfter is how long an unfinished upload is kept after its last byte, 0 for
// ever.
func (u *Uploads) ExpireAfter() time.Duration { return u.opts.ExpireAfter }

// Get returns the upload. If all of it has been received and it is not finished
// yet, Get finishes it first, and fails if that fails.
//
// Errors: ErrBadID, ErrNotFound, ErrGone, ErrKeyTaken, transient ones, and whatever
// Policy.Authorize and Policy.BeforeFinish return.
func (u *Uploads) Get(ctx context.Context, id string) (Upload, error) {
	up, err := u.authorized(ctx, id)
	if err != nil {
		return Upload{}, err
	}
	return u.finalize(ctx, up)
}

// Declare sets the size of an upload that was created with Unknown; to name the
// size that it has already is no error. If all of it has been received, it is
// finished.
//
// Errors: those of Get, ErrTooLarge, ErrSizeConflict.
func (u *Uploads) SetSize(ctx context.Context, id string, size int64) (Upload, error) {
	up, err := u.authorized(ctx, id)
	switch {
	case err != nil:
		return Upload{}, err
	case size < 0:
		return up, fmt.Errorf("%w: a size of %d bytes", ErrBadRequest, size)
	case up.Size != Unknown && up.Size != size:
		return up, fmt.Errorf("%w: %d bytes now, %d before", ErrSizeMismatch, size, up.Size)
	case up.Received.End() > size:
		return up, fmt.Errorf("%w: %d bytes now, while %d are there", ErrSizeMismatch, size, up.Received.End())
	}
	if err := u.checkSize(up.Record, size); err != nil {
		return up, err
	}
	if up.Size == Unknown {
		if err := u.store.SetSize(ctx, id, size); err != nil {
			return up, err
		}
		if up, err = u.reload(ctx, id); err != nil {
			return up, err
		}
	}
	return u.finalize(ctx, up)
}

// Lock gives the caller the lock of the upload; see Locker. Reading an upload's
// state needs no lock, and neither does writing a range to be right: it stops a
// client's dead request in favour of its new one. So nobody gets the lock of an upload
// that he may not change.
//
// Errors: those of Locker, transient ones, and whatever Policy.Authorize returns.
func (u *Uploads) Lock(ctx context.Context, id string, onContended func()) (unlock func(), err error) {
	if u.opts.Policy.Authorize != nil {
		up, err := u.load(ctx, id)
		if err == nil {
			err = u.opts.Policy.Authorize(ctx, up)
		} else if errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) {
			err = nil // it may be about to be created; whoever holds the lock will see
		}
		if err != nil {
			return nil, err
		}
	}
	return u.locker.Lock(ctx, id, onContended)
}

// Check returns nil if uploads can be stored now.
func (u *Uploads) Check(ctx context.Context) error {
	if c, ok := u.store.(Checker); ok {
		return c.Check(ctx)
	}
	return nil
}

// permitted is load for somebody who may not be allowed to.
func (u *Uploads) authorized(ctx context.Context, id string) (Upload, error) {
	up, err := u.load(ctx, id)
	if err == nil && u.opts.Policy.Authorize != nil {
		err = u.opts.Policy.Authorize(ctx, up)
	}
	if err != nil {
		return Upload{}, err
	}
	return up, nil
}

// load returns what is known of the upload, from the index if that knows it, and
// ErrGone for one that has expired. One that has only to be finished is still there: it
// was no client's fault.
func (u *Uploads) load(ctx context.Context, id string) (Upload, error) {
	if err := CheckID(id); err != nil {
		return Upload{}, err
	}
	up, err := u.cache.Get(ctx, id)
	if err != nil || u.expired(up) { // what has expired is gone for good: let the store say so
		up, err = u.reload(ctx, id)
	}
	if err != nil {
		return Upload{}, err
	}
	if u.expired(up) && !up.awaitsFinish() {
		return Upload{}, fmt.Errorf("%w: it expired at %s", ErrGone, u.Expires(up).Format(time.RFC3339))
	}
	if err := u.remembered(up); err != nil {
		return Upload{}, err
	}
	return up, nil
}

// reload returns what the store has of the upload and lets the index know it. Requests
// that come at the same time share a load.
func (u *Uploads) reload(ctx context.Context, id string) (Upload, error) {
	return u.loading.do(ctx, id, func(ctx context.Context) (Upload, error) { return u.loadOnce(ctx, id) })
}

func (u *Uploads) loadOnce(ctx context.Context, id string) (Upload, error) {
	generation, beginErr := u.cache.Generation(ctx, id)
	up, err := u.store.Load(ctx, id)
	if errors.Is(err, ErrGone) {
		u.invalidate(ctx, id)
	}
	if err != nil || up.Finished || beginErr != nil {
		return up, err
	}
	if known, err := u.cache.Store(ctx, generation, up); err == nil {
		return known, nil
	}
	return up, nil
}

// drop makes the index forget the upload. An index that fails to is no reason to
// fail: what it says is checked against the store before it counts as finished.
func (u *Uploads) invalidate(ctx context.Context, id string) {
	if err := u.cache.Invalidate(ctx, id); err != nil {
		u.opts.Log.WarnContext(ctx, "the index did not forget an upload", "id", id, "error", err)
	}
}
