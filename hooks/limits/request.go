package limits

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// step is how many bytes of a body are counted at once. It is more than one read, to
// ask Redis less often.
const step = 4 << 20

// request is what is known of a request, and what of its body was paid for.
type request struct {
	limiter *Limiter
	key     string
	hasBody bool
	length  int64 // -1 if it is not known

	claimed claim // for the upload that it is about to create, 0 if it counted before
	joined  int   // bytes that were paid for to be joined

	once    sync.Once
	refused error // what once has found

	mu    sync.Mutex
	free  bool // the body is read only to be dropped
	ahead int  // bytes that are paid for and were not read
	left  int64
}

type requestKey struct{}

func requestOf(ctx context.Context) (*request, bool) {
	q, ok := ctx.Value(requestKey{}).(*request)
	return q, ok
}

func (l *Limiter) request(r *http.Request) *request {
	return &request{limiter: l, key: l.key(r), hasBody: r.ContentLength != 0, length: r.ContentLength, left: r.ContentLength}
}

// metered tells whether the bytes of the body count.
func (q *request) metered() bool { return q.hasBody && q.limiter.opts.BytesPerDay > 0 }

func (q *request) allowance() allowance {
	return allowance{"bytes:" + q.key, int(q.limiter.opts.BytesPerDay), 24 * time.Hour}
}

// check returns an error if the body is more than the caller may send now. It is found
// out once in a request.
func (q *request) check(ctx context.Context) error {
	if !q.metered() {
		return nil
	}
	q.once.Do(func() {
		if q.refused = q.afford(ctx); q.refused != nil {
			q.mu.Lock()
			q.free = true
			q.mu.Unlock()
		}
	})
	return q.refused
}

func (q *request) afford(ctx context.Context) error {
	day := q.limiter.opts.BytesPerDay
	if q.length > day {
		return moreThanADay(q.length, day)
	}
	wait, err := q.limiter.counts.ask(ctx, q.allowance(), int(max(q.length, 1)))
	if err == nil && wait > 0 {
		err = q.spent(wait)
	}
	return err
}

func moreThanADay(n, day int64) error {
	return fmt.Errorf("%w: %d bytes, while %d a day may be sent", storage.ErrTooLarge, n, day)
}

// payJoined pays for a file that is to be joined out of parts, as if it were sent: the
// same parts may be joined again and again.
func (q *request) payJoined(ctx context.Context, rec storage.Record) error {
	day := q.limiter.opts.BytesPerDay
	switch {
	case day == 0 || len(rec.Parts) == 0 || rec.Size <= 0:
		return nil
	case rec.Size > day:
		return moreThanADay(rec.Size, day)
	}
	wait, err := q.limiter.counts.spend(ctx, q.allowance(), int(rec.Size))
	if err == nil && wait > 0 {
		err = q.spent(wait)
	}
	if err == nil {
		q.joined = int(rec.Size)
	}
	return err
}

func (q *request) refundJoined(ctx context.Context) {
	if q.joined > 0 {
		_, _ = q.limiter.counts.spend(ctx, q.allowance(), -q.joined) // it comes back by itself in a day
		q.joined = 0
	}
}

func (q *request) spent(wait time.Duration) error {
	return later(wait, "%d bytes a day may be sent", q.limiter.opts.BytesPerDay)
}

// pay makes sure that some bytes are paid for, and returns how many; 0 for one that
// does not have to be, or of which nothing but the end is to come.
func (q *request) pay(ctx context.Context) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ended := q.length >= 0 && q.left <= 0; q.free || q.ahead > 0 || ended {
		return q.ahead, nil
	}
	n := int(min(step, q.limiter.opts.BytesPerDay))
	if q.length >= 0 {
		n = int(max(1, min(int64(n), q.left)))
	}
	wait, err := q.limiter.counts.spend(ctx, q.allowance(), n)
	if err == nil && wait > 0 {
		err = q.spent(wait)
	}
	if err != nil {
		return 0, err
	}
	q.ahead = n
	return n, nil
}

func (q *request) read(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ahead = max(0, q.ahead-n)
	q.left -= int64(n)
}

// giveBack is called at the end: what was paid for and did not come does not count.
func (q *request) giveBack(ctx context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ahead > 0 {
		_, _ = q.limiter.counts.spend(ctx, q.allowance(), -q.ahead) // it comes back by itself in a day
		q.ahead = 0
	}
}

// meter is a body whose bytes are paid for before they are read.
type meter struct {
	io.ReadCloser
	ctx     context.Context
	request *request
}

func (m *meter) Read(p []byte) (int, error) {
	paid, err := m.request.pay(m.ctx)
	if err != nil {
		return 0, err
	}
	if paid > 0 && len(p) > paid {
		p = p[:paid]
	}
	n, err := m.ReadCloser.Read(p)
	m.request.read(n)
	return n, err
}
