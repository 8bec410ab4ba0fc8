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

// MaxRanges is the maximum number of separate ranges of an incomplete upload. It
// bounds the state that a hostile client can make the server keep.
const MaxRanges = 10_000

// Options configure Uploads. The zero value has no limits.
type Options struct {
	// MaxSize is the largest size of an upload in bytes; 0 is no limit.
	MaxSize int64
	// ExpireAfter is how long after its last byte an unfinished upload is kept; 0
	// keeps it forever.
	ExpireAfter time.Duration
	// RememberFinished is how long after the delivery of its event an upload whose file was
	// moved or deleted is still reported as complete; 0 is not at all.
	RememberFinished time.Duration
	// Policy decides what may happen to uploads.
	Policy Policy
	// Observer is notified of what happens to uploads.
	Observer Observer
	// Delivery configures how the app is notified of finished uploads.
	Delivery DeliveryOptions

	// Now is the clock, time.Now if nil.
	Now func() time.Time
	// Log receives errors that are not returned to a caller; slog.Default() if nil.
	Log *slog.Logger
}

// Uploads is the core. Its methods may be called concurrently, also for the same
// upload. Create it with New.
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
	creating   gates // of GetOrCreate

	mu              sync.Mutex
	active          map[string]int               // writes in progress, by upload id
	abortable       map[string]map[CanAbort]bool // their sources
	flushed         map[string]time.Time         // when those were last flushed
	published       map[string]time.Time         // when this process published finished uploads, by id
	publishedPruned time.Time                    // when old entries of published were last removed
	failedDeletions map[string]deletion          // by upload id

	nextCleanFinished time.Time // see cleanFinished
}

// New returns the core over a store, which is the source of truth, a locker and a cache. A
// nil locker is for a single process: a new MemoryLocker.
func New(store Store, locker Locker, cache Cache, opts Options) *Uploads {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if locker == nil {
		locker = new(MemoryLocker)
	}
	u := &Uploads{store: store, locker: locker, cache: cache, opts: opts,
		active: map[string]int{}, abortable: map[string]map[CanAbort]bool{}, flushed: map[string]time.Time{}, published: map[string]time.Time{}, failedDeletions: map[string]deletion{}}
	if opts.Delivery.Deliverer != nil {
		u.outbox = newOutbox(u, opts.Delivery, opts.Log)
		u.enqueue = u.outbox.enqueue
	}
	if l, ok := locker.(FlushRelay); ok {
		l.OnFlush(func(ctx context.Context, id string) { u.flushLocal(ctx, id) })
	}
	u.cleanFinishedDue(opts.Now())
	return u
}

// MaxSize returns the largest size of an upload in bytes, 0 if there is no limit.
func (u *Uploads) MaxSize() int64 { return u.opts.MaxSize }

// ExpireAfter returns how long an unfinished upload is kept after its last byte, 0 if
// forever.
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

// SetSize sets the size of an upload that was created with Unknown. Setting the size
// that it already has is not an error. If that completes the upload, it is finished.
//
// Errors: those of Get, ErrTooLarge, ErrSizeMismatch.
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
		return up, fmt.Errorf("%w: %d bytes now, but %d were received", ErrSizeMismatch, size, up.Received.End())
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

// Lock acquires the lock of the upload; see Locker. Neither reading an upload's state
// nor writing to it needs the lock for correctness: its purpose is to stop a client's
// dead request in favour of its new one. So a client only gets the lock of an upload
// that it is allowed to change.
//
// Errors: those of Locker, transient ones, and whatever Policy.Authorize returns.
func (u *Uploads) Lock(ctx context.Context, id string, onContended func()) (unlock func(), err error) {
	if u.opts.Policy.Authorize != nil {
		up, err := u.load(ctx, id)
		if err == nil {
			err = u.opts.Policy.Authorize(ctx, up)
		} else if errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) {
			err = nil // it may be about to be created
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

// authorized loads an upload and checks Policy.Authorize.
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

// load returns the state of the upload, from the cache if possible, and ErrGone if it
// has expired. An upload that only awaits its finish does not expire here: the client
// has done its part.
func (u *Uploads) load(ctx context.Context, id string) (Upload, error) {
	if err := CheckID(id); err != nil {
		return Upload{}, err
	}
	up, err := u.cache.Get(ctx, id)
	if err != nil || u.expired(up) { // expiry is final: check it against the store
		up, err = u.reload(ctx, id)
	}
	if err != nil {
		return Upload{}, err
	}
	if u.expired(up) && !up.awaitsFinish() {
		return Upload{}, fmt.Errorf("%w: it expired at %s", ErrGone, u.Expires(up).Format(time.RFC3339))
	}
	if err := u.checkRetention(up); err != nil {
		return Upload{}, err
	}
	return up, nil
}

// reload loads the upload from the store and caches it. Concurrent requests share a load.
func (u *Uploads) reload(ctx context.Context, id string) (Upload, error) {
	return u.loading.do(ctx, id, func(ctx context.Context) (Upload, error) { return u.loadOnce(ctx, id) })
}

func (u *Uploads) loadOnce(ctx context.Context, id string) (Upload, error) {
	generation, cacheErr := u.cache.Generation(ctx, id)
	up, err := u.store.Load(ctx, id)
	if errors.Is(err, ErrGone) {
		u.invalidate(ctx, id)
	}
	if err == nil && up.Finished && up.DeliveryPending {
		u.invalidate(ctx, id) // another process may be about to cache what it has loaded before the finish
	}
	if err != nil || up.Finished || cacheErr != nil {
		return up, err
	}
	if known, err := u.cache.Store(ctx, generation, up); err == nil {
		return known, nil
	}
	return up, nil
}

// invalidate removes the upload from the cache. A failure is only logged: the cached
// state is checked against the store before an upload counts as finished.
func (u *Uploads) invalidate(ctx context.Context, id string) {
	if err := u.cache.Invalidate(ctx, id); err != nil {
		u.opts.Log.WarnContext(ctx, "cannot invalidate a cached upload", "id", id, "error", err)
	}
}
