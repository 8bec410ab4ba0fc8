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
	// RememberFinished is how long after its event was delivered an upload is said to be
	// complete whose file was moved or deleted; 0 is not at all.
	RememberFinished time.Duration
	// Notify is told of events, if set.
	Notify Notify
	// Progress is told, if set, of an unfinished upload each time that something of it
	// was stored, in the write that stored it. It must not block, nor change it.
	Progress func(ctx context.Context, up Upload)
	// Deliver, if set, has to tell of the finished uploads that it is given, until it
	// can say that it has: by Told. What it is given it may be given again, by any
	// process that meets the upload. It must not block. If it is nil, Notify is all
	// the telling that there is.
	Deliver Notify

	// Admit is asked, if set, before an upload is written down. It may change the
	// record, or refuse with an error.
	Admit func(ctx context.Context, rec *Record) error
	// Withdrawn is told, if set, of a record that Admit has agreed to and that was not
	// written down after all, as far as is known.
	Withdrawn func(ctx context.Context, rec Record)
	// Permit is asked, if set, before an upload is shown or changed at somebody's
	// wish. To refuse it returns the error that he gets: ErrNotFound, so as not to tell
	// that there is one.
	Permit func(ctx context.Context, up Upload) error
	// Accept is asked, if set, before a complete upload is made a file. If it refuses,
	// whoever sent the last byte gets its error, and whoever looks at the upload next
	// has it asked again. It may be asked by several processes at once.
	Accept func(ctx context.Context, up Upload) error
	// Swept is told, if set, how long each sweep of Run took, and what went wrong.
	Swept func(took time.Duration, err error)

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
	index  Index
	opts   Options

	settling singleflight.Group // by upload id

	mu     sync.Mutex
	active map[string]int       // writes in progress, by upload id
	told   map[string]time.Time // when finished uploads were told of here, by id
	forgot time.Time            // when told was last cleared of what is old

	nextForget time.Time // when to have the store forget: see forget
}

// New returns the core over a store, which is the truth, a locker and an index.
func New(store Store, locker Locker, index Index, opts Options) *Uploads {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	u := &Uploads{store: store, locker: locker, index: index, opts: opts,
		active: map[string]int{}, told: map[string]time.Time{}}
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
// Options.Permit and Options.Accept return.
func (u *Uploads) Get(ctx context.Context, id string) (Upload, error) {
	up, err := u.permitted(ctx, id)
	if err != nil {
		return Upload{}, err
	}
	return u.settle(ctx, up)
}

// Declare sets the size of an upload that was created with Unknown; to name the
// size that it has already is no error. If all of it has been received, it is
// finished.
//
// Errors: those of Get, ErrTooLarge, ErrSizeConflict.
func (u *Uploads) Declare(ctx context.Context, id string, size int64) (Upload, error) {
	up, err := u.permitted(ctx, id)
	switch {
	case err != nil:
		return Upload{}, err
	case size < 0:
		return up, fmt.Errorf("%w: a size of %d bytes", ErrBadRequest, size)
	case up.Size != Unknown && up.Size != size:
		return up, fmt.Errorf("%w: %d bytes now, %d before", ErrSizeConflict, size, up.Size)
	case up.Received.End() > size:
		return up, fmt.Errorf("%w: %d bytes now, while %d are there", ErrSizeConflict, size, up.Received.End())
	}
	if err := u.checkSize(up.Record, size); err != nil {
		return up, err
	}
	if up.Size == Unknown {
		if err := u.store.Declare(ctx, id, size); err != nil {
			return up, err
		}
		if up, err = u.reload(ctx, id); err != nil {
			return up, err
		}
	}
	return u.settle(ctx, up)
}

// Lock gives the caller the lock of the upload; see Locker. Reading an upload's
// state needs no lock, and neither does writing a range to be right: it stops a
// client's dead request in favour of its new one. So nobody gets the lock of an upload
// that he may not change.
//
// Errors: those of Locker, transient ones, and whatever Options.Permit returns.
func (u *Uploads) Lock(ctx context.Context, id string, letGo func()) (unlock func(), err error) {
	if u.opts.Permit != nil {
		up, err := u.load(ctx, id)
		if err == nil {
			err = u.opts.Permit(ctx, up)
		} else if errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) {
			err = nil // it may be about to be created; whoever holds the lock will see
		}
		if err != nil {
			return nil, err
		}
	}
	return u.locker.Lock(ctx, id, letGo)
}

// Check returns nil if uploads can be stored now.
func (u *Uploads) Check(ctx context.Context) error {
	if c, ok := u.store.(Checker); ok {
		return c.Check(ctx)
	}
	return nil
}

// permitted is load for somebody who may not be allowed to.
func (u *Uploads) permitted(ctx context.Context, id string) (Upload, error) {
	up, err := u.load(ctx, id)
	if err == nil && u.opts.Permit != nil {
		err = u.opts.Permit(ctx, up)
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
	up, err := u.index.Get(ctx, id)
	if err != nil || u.expired(up) { // what has expired is gone for good: let the store say so
		up, err = u.reload(ctx, id)
	}
	if err != nil {
		return Upload{}, err
	}
	if u.expired(up) && !up.unfinished() {
		return Upload{}, fmt.Errorf("%w: it expired at %s", ErrGone, u.Expires(up).Format(time.RFC3339))
	}
	if err := u.remembered(up); err != nil {
		return Upload{}, err
	}
	return up, nil
}

// reload returns what the store has of the upload and lets the index know it.
func (u *Uploads) reload(ctx context.Context, id string) (Upload, error) {
	begun, beginErr := u.index.Begin(ctx, id)
	up, err := u.store.Load(ctx, id)
	if errors.Is(err, ErrGone) {
		u.drop(ctx, id)
	}
	if err != nil || up.Finished || beginErr != nil {
		return up, err
	}
	if known, err := u.index.Put(ctx, begun, up); err == nil {
		return known, nil
	}
	return up, nil
}

// drop makes the index forget the upload. An index that fails to is no reason to
// fail: what it says is checked against the store before it counts as finished.
func (u *Uploads) drop(ctx context.Context, id string) {
	if err := u.index.Drop(ctx, id); err != nil {
		u.opts.Log.WarnContext(ctx, "the index did not forget an upload", "id", id, "error", err)
	}
}
