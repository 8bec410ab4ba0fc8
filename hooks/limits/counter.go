package limits

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Counter counts per principal. Any error other than ErrQuotaExhausted means that it
// could not count.
type Counter interface {
	// Take takes n from a quota. If the quota has less, Take takes nothing and returns
	// how long to wait until it has enough. A negative n is a refund.
	Take(ctx context.Context, q Quota, n int) (wait time.Duration, err error)
	// Peek returns what Take would return, and takes nothing.
	Peek(ctx context.Context, q Quota, n int) (wait time.Duration, err error)

	// Reserve counts an upload that is about to be created for a principal until
	// lifetime has passed. It returns ErrQuotaExhausted if limit uploads, unless that is
	// 0, are counted for the principal already, and the zero Reservation if the upload
	// was counted for the principal before. It does not record ownership.
	Reserve(ctx context.Context, key, id string, limit int, lifetime time.Duration) (Reservation, error)
	// Rollback cancels a reservation, unless the upload has been assigned since.
	Rollback(ctx context.Context, key, id string, r Reservation) error
	// Assign records the principal as the owner of an upload, and counts it for no
	// other. lifetime is longer than that of a reservation.
	Assign(ctx context.Context, key, id string, lifetime time.Duration) error
	// Touch extends the lifetime of an upload for its owner, or for this principal if
	// it has none.
	Touch(ctx context.Context, key, id string, lifetime time.Duration) error
	// Release stops counting an upload.
	Release(ctx context.Context, id string) error
}

// Reservation identifies one reservation of an upload: the time at which it ends, in
// milliseconds since 1970.
type Reservation int64

// Quota is a token bucket: Capacity may be taken within Period, at once or in steps, and is
// refilled evenly.
type Quota struct {
	Key      string
	Capacity int
	Period   time.Duration
}

// Refill returns how long it takes to refill n.
func (q Quota) Refill(n float64) time.Duration {
	return time.Duration(n / float64(q.Capacity) * float64(q.Period))
}

// ErrQuotaExhausted means that as many uploads are counted as are allowed.
var ErrQuotaExhausted = errors.New("quota exhausted")

// retryShared is how long a counter that failed is not used.
const retryShared = 5 * time.Second

// fallback uses the shared counter, and the one of this process while that fails.
type fallback struct {
	shared, memory Counter
	log            *slog.Logger

	down atomic.Bool
	next atomic.Int64 // when to ask shared again, in ns since 1970
}

// reachable reports whether to use shared. While shared is down, one request per
// retryShared tries it, and the others do not wait for the outcome.
func (f *fallback) reachable() bool {
	if !f.down.Load() {
		return true
	}
	now, next := time.Now(), f.next.Load()
	return now.UnixNano() >= next && f.next.CompareAndSwap(next, now.Add(retryShared).UnixNano())
}

func (f *fallback) use(do func(Counter) error) error {
	if f.reachable() {
		err := do(f.shared)
		if err == nil || errors.Is(err, ErrQuotaExhausted) {
			if f.down.Swap(false) {
				f.log.Info("Redis is reachable again; limits are shared between nodes")
			}
			return err
		}
		f.next.Store(time.Now().Add(retryShared).UnixNano())
		if !f.down.Swap(true) {
			f.log.Warn("Redis is unreachable; limits are enforced per node", "error", err)
		}
	}
	return do(f.memory)
}

func (f *fallback) Take(ctx context.Context, a Quota, n int) (wait time.Duration, err error) {
	err = f.use(func(c Counter) (err error) { wait, err = c.Take(ctx, a, n); return })
	return wait, err
}

func (f *fallback) Peek(ctx context.Context, a Quota, n int) (wait time.Duration, err error) {
	err = f.use(func(c Counter) (err error) { wait, err = c.Peek(ctx, a, n); return })
	return wait, err
}

func (f *fallback) Reserve(ctx context.Context, key, id string, limit int, lifetime time.Duration) (made Reservation, err error) {
	err = f.use(func(c Counter) (err error) { made, err = c.Reserve(ctx, key, id, limit, lifetime); return })
	return made, err
}

// Rollback goes to both: either may hold the reservation.
func (f *fallback) Rollback(ctx context.Context, key, id string, made Reservation) error {
	_ = f.memory.Rollback(ctx, key, id, made) // it never fails
	return f.use(func(c Counter) error { return c.Rollback(ctx, key, id, made) })
}

func (f *fallback) Assign(ctx context.Context, key, id string, lifetime time.Duration) error {
	return f.use(func(c Counter) error { return c.Assign(ctx, key, id, lifetime) })
}

func (f *fallback) Touch(ctx context.Context, key, id string, lifetime time.Duration) error {
	return f.use(func(c Counter) error { return c.Touch(ctx, key, id, lifetime) })
}

// Release goes to both: either may have counted the upload.
func (f *fallback) Release(ctx context.Context, id string) error {
	_ = f.memory.Release(ctx, id) // it never fails
	return f.use(func(c Counter) error { return c.Release(ctx, id) })
}

// maxEntries bounds the principals, and the uploads, of which a process keeps counts;
// the least recently used are dropped.
const maxEntries = 100_000

// recent remembers when an upload was last touched.
type recent struct{ at *lru.Cache[string, time.Time] }

func newRecent() recent {
	at, err := lru.New[string, time.Time](maxEntries)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return recent{at}
}

// due reports whether an interval has passed since the last touch, and records a new one.
func (r recent) due(id string, every time.Duration) bool {
	now := time.Now()
	if last, ok := r.at.Get(id); ok && now.Sub(last) < every {
		return false
	}
	r.at.Add(id, now)
	return true
}
