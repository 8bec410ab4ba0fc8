package limits

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// step is how many bytes of a body are charged at once: more than one read, to
// reduce requests to Redis.
const step = 4 << 20

// request is the state of one request, and what of its body has been charged.
type request struct {
	limiter *Limiter
	ctx     context.Context // of the request, without its cancellation
	key     string
	hasBody bool
	length  int64 // -1 if unknown

	reserved     Reservation // the upload it is about to create, 0 if that was counted before
	concatCharge int         // bytes charged for a concatenation

	once     sync.Once
	rejected error // the outcome of once

	mu        sync.Mutex
	uncharged bool // the body is read only to be drained
	prepaid   int  // bytes that are charged and not yet read
	left      int64
}

var _ transport.Quota = (*request)(nil)

func requestOf(ctx context.Context) (*request, bool) {
	q, ok := protocol.ExchangeOf(ctx).Quota.(*request)
	return q, ok
}

func (l *Limiter) request(r *http.Request) *request {
	return &request{limiter: l, ctx: context.WithoutCancel(r.Context()), key: l.key(r), hasBody: r.ContentLength != 0, length: r.ContentLength, left: r.ContentLength}
}

// metered reports whether the bytes of the body are charged.
func (q *request) metered() bool { return q.hasBody && q.limiter.opts.BytesPerDay > 0 }

func (q *request) quota() Quota {
	return Quota{"bytes:" + q.key, int(q.limiter.opts.BytesPerDay), 24 * time.Hour}
}

// check returns an error if the body is more than the principal may send now. It asks
// the counter once per request.
func (q *request) check(ctx context.Context) error {
	if !q.metered() {
		return nil
	}
	q.once.Do(func() {
		if q.rejected = q.canAfford(ctx); q.rejected != nil {
			q.mu.Lock()
			q.uncharged = true
			q.mu.Unlock()
		}
	})
	return q.rejected
}

func (q *request) canAfford(ctx context.Context) error {
	day := q.limiter.opts.BytesPerDay
	if q.length > day {
		return dailyLimitError(q.length, day)
	}
	wait, err := q.limiter.counts.Peek(ctx, q.quota(), int(max(q.length, 1)))
	if err == nil && wait > 0 {
		err = q.spent(wait)
	}
	return err
}

func dailyLimitError(n, day int64) error {
	return fmt.Errorf("%w: %d bytes, the limit is %d a day", storage.ErrTooLarge, n, day)
}

// chargeConcat charges a concatenation as if its bytes were sent: the same parts may
// be concatenated again and again.
func (q *request) chargeConcat(ctx context.Context, rec storage.Record) error {
	day := q.limiter.opts.BytesPerDay
	switch {
	case day == 0 || len(rec.Parts) == 0 || rec.Size <= 0:
		return nil
	case rec.Size > day:
		return dailyLimitError(rec.Size, day)
	}
	wait, err := q.limiter.counts.Take(ctx, q.quota(), int(rec.Size))
	if err == nil && wait > 0 {
		err = q.spent(wait)
	}
	if err == nil {
		q.concatCharge = int(rec.Size)
	}
	return err
}

func (q *request) refundConcat(ctx context.Context) {
	if q.concatCharge > 0 {
		_, _ = q.limiter.counts.Take(ctx, q.quota(), -q.concatCharge) // on failure the quota refills within a day
		q.concatCharge = 0
	}
}

func (q *request) spent(wait time.Duration) error {
	return retryLater(wait, "%d bytes a day may be sent", q.limiter.opts.BytesPerDay)
}

// Allow implements transport.Quota. It charges the next bytes of the body if none are
// prepaid, and returns how many are; 0 for a body that is not charged, or that has been
// read to its length.
func (q *request) Allow() (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ended := q.length >= 0 && q.left <= 0; q.uncharged || q.prepaid > 0 || ended {
		return q.prepaid, nil
	}
	n := int(min(step, q.limiter.opts.BytesPerDay))
	if q.length >= 0 {
		n = int(max(1, min(int64(n), q.left)))
	}
	wait, err := q.limiter.counts.Take(q.ctx, q.quota(), n)
	if err == nil && wait > 0 {
		err = q.spent(wait)
	}
	if err != nil {
		return 0, err
	}
	q.prepaid = n
	return n, nil
}

// Used implements transport.Quota.
func (q *request) Used(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.prepaid = max(0, q.prepaid-n)
	q.left -= int64(n)
}

// Close implements transport.Quota. It gives back what was charged and not read.
func (q *request) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.prepaid > 0 {
		_, _ = q.limiter.counts.Take(q.ctx, q.quota(), -q.prepaid) // on failure the quota refills within a day
		q.prepaid = 0
	}
}
