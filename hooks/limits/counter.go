package limits

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// counter counts for callers. An error other than errFull tells that it could not.
type counter interface {
	// spend takes n from an allowance, unless it has less: then it takes nothing, and
	// tells how long to wait until it has enough. A negative n is given back.
	spend(ctx context.Context, a allowance, n int) (wait time.Duration, err error)
	// ask is spend without taking anything.
	ask(ctx context.Context, a allowance, n int) (wait time.Duration, err error)

	// claim counts for a caller, for a time, that an upload is about to be created;
	// errFull if limit, unless that is 0, are counted for him already. Whose upload it
	// is, that does not say: somebody may have created it. The claim is 0 if it was
	// counted for him before.
	claim(ctx context.Context, key, id string, limit int, lifetime time.Duration) (claim, error)
	// withdraw takes a claim back, unless the upload has become his.
	withdraw(ctx context.Context, key, id string, c claim) error
	// own counts a live upload for whoever has created it, and for nobody else. Its
	// lifetime is longer than that of a claim.
	own(ctx context.Context, key, id string, lifetime time.Duration) error
	// keep counts it for longer, for whoever owns it, or for this caller if it was not
	// counted.
	keep(ctx context.Context, key, id string, lifetime time.Duration) error
	// release counts it no more.
	release(ctx context.Context, id string) error
}

// claim tells one claim from what else is counted of an upload: it is when it ends, in
// ms since 1970.
type claim int64

// allowance is what may be spent in a period, at once or bit by bit: what is spent
// comes back evenly.
type allowance struct {
	key    string
	most   int
	period time.Duration
}

// worth is how long n of the allowance take to come back.
func (a allowance) worth(n float64) time.Duration {
	return time.Duration(n / float64(a.most) * float64(a.period))
}

var errFull = errors.New("as many are counted as may be")

// retryShared is for how long a counter that failed is not asked.
const retryShared = 5 * time.Second

// fallback counts with the other nodes, and alone while that fails.
type fallback struct {
	shared, local counter
	log           *slog.Logger

	down atomic.Bool
	next atomic.Int64 // when to ask shared again, in ns since 1970
}

// reachable tells whether to ask shared. While it is down one request in a while does,
// and the others do not wait for what comes of it.
func (f *fallback) reachable() bool {
	if !f.down.Load() {
		return true
	}
	now, next := time.Now(), f.next.Load()
	return now.UnixNano() >= next && f.next.CompareAndSwap(next, now.Add(retryShared).UnixNano())
}

func (f *fallback) use(do func(counter) error) error {
	if f.reachable() {
		err := do(f.shared)
		if err == nil || errors.Is(err, errFull) {
			if f.down.Swap(false) {
				f.log.Info("limits are counted with the other nodes again")
			}
			return err
		}
		f.next.Store(time.Now().Add(retryShared).UnixNano())
		if !f.down.Swap(true) {
			f.log.Warn("Redis does not answer: this node counts limits for itself", "error", err)
		}
	}
	return do(f.local)
}

func (f *fallback) spend(ctx context.Context, a allowance, n int) (wait time.Duration, err error) {
	err = f.use(func(c counter) (err error) { wait, err = c.spend(ctx, a, n); return })
	return wait, err
}

func (f *fallback) ask(ctx context.Context, a allowance, n int) (wait time.Duration, err error) {
	err = f.use(func(c counter) (err error) { wait, err = c.ask(ctx, a, n); return })
	return wait, err
}

func (f *fallback) claim(ctx context.Context, key, id string, limit int, lifetime time.Duration) (made claim, err error) {
	err = f.use(func(c counter) (err error) { made, err = c.claim(ctx, key, id, limit, lifetime); return })
	return made, err
}

// withdraw is told to both: either of them may have the claim.
func (f *fallback) withdraw(ctx context.Context, key, id string, made claim) error {
	_ = f.local.withdraw(ctx, key, id, made) // it never fails
	return f.use(func(c counter) error { return c.withdraw(ctx, key, id, made) })
}

func (f *fallback) own(ctx context.Context, key, id string, lifetime time.Duration) error {
	return f.use(func(c counter) error { return c.own(ctx, key, id, lifetime) })
}

func (f *fallback) keep(ctx context.Context, key, id string, lifetime time.Duration) error {
	return f.use(func(c counter) error { return c.keep(ctx, key, id, lifetime) })
}

// release is told to both: the upload may have been counted by either.
func (f *fallback) release(ctx context.Context, id string) error {
	_ = f.local.release(ctx, id) // it never fails
	return f.use(func(c counter) error { return c.release(ctx, id) })
}

// most is of how many callers, and uploads, one process remembers something: what is
// forgotten first is what was not used for longest.
const most = 100_000

// recent remembers when something was done about uploads.
type recent struct{ at *lru.Cache[string, time.Time] }

func newRecent() recent {
	at, err := lru.New[string, time.Time](most)
	if err != nil {
		panic(err) // the size is right
	}
	return recent{at}
}

// due tells whether nothing was done for a while, and notes that it is now.
func (r recent) due(id string, every time.Duration) bool {
	now := time.Now()
	if last, ok := r.at.Get(id); ok && now.Sub(last) < every {
		return false
	}
	r.at.Add(id, now)
	return true
}
