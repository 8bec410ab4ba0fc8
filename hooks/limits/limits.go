// Package limits bounds what one caller may use of a server that many share: how
// many uploads he creates in a minute, how many of his are unfinished at a time, and
// how many bytes he sends, or has joined, in a day. A caller without a subject is known
// by his address.
//
// Nodes that have a Redis count together. While it does not answer each counts for
// itself: a limit may then be passed as many times over as there are nodes, but nobody
// is kept out who should come in. What a node had counted when it died is forgotten
// after a time.
package limits

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
)

// Options are the limits of each caller. Those that are 0 do not hold; a caller may
// have others of his own: see hooks.Limits.
type Options struct {
	UploadsPerMinute int
	LiveUploads      int
	BytesPerDay      int64

	URLs hooks.URLs // tell the address of a client
	// ExpireAfter is how long an unfinished upload is kept after its last byte; 0 is
	// for ever.
	ExpireAfter time.Duration
	// Redis is where nodes count together, if set. Prefix begins every key.
	Redis  redis.UniversalClient
	Prefix string
	Log    *slog.Logger
}

// On tells whether anything is limited for all.
func (l *Limiter) On() bool {
	return l.opts.UploadsPerMinute > 0 || l.opts.LiveUploads > 0 || l.opts.BytesPerDay > 0
}

const (
	// claimFor is how long it counts that an upload is about to be created.
	claimFor = time.Minute
	// liveFor is how long one counts of which nothing more is heard, if it does not
	// expire by itself.
	liveFor = 24 * time.Hour
	// comeBack is after how long to try again to have one upload more.
	comeBack = 10 * time.Second
)

// Limiter holds callers to their limits. Create it with New.
type Limiter struct {
	opts   Options
	counts counter
	kept   recent // uploads that were said to be live not long ago
}

// New returns a Limiter.
func New(opts Options) *Limiter {
	l := &Limiter{opts: opts, counts: newLocal(), kept: newRecent()}
	if opts.Redis != nil {
		l.counts = &fallback{shared: newShared(opts.Redis, opts.Prefix), local: l.counts, log: opts.Log}
	}
	return l
}

// Door puts a door behind the limiter. If callers are to be known by their subjects,
// the limiter has to stand behind what tells these.
func (l *Limiter) Door(next hooks.Door) hooks.Door { return &limited{next, l} }

type limited struct {
	hooks.Door
	limiter *Limiter
}

func (d *limited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := d.limiter.request(r)
	*r = *r.WithContext(context.WithValue(r.Context(), requestKey{}, q)) // a door's changes are seen by whoever logs r
	if q.metered() {
		r.Body = &meter{ReadCloser: r.Body, ctx: context.WithoutCancel(r.Context()), request: q}
		defer q.giveBack(context.WithoutCancel(r.Context()))
	}
	d.Door.ServeHTTP(w, r)
}

// key is how a caller is known. In Redis nobody is to read who it is.
func (l *Limiter) key(r *http.Request) string {
	c, _ := hooks.CallerOf(r.Context())
	if c.Subject != "" {
		sum := sha256.Sum256([]byte(c.Subject))
		return "s:" + hex.EncodeToString(sum[:16])
	}
	return "a:" + network(l.opts.URLs.Client(r))
}

// network is an address, but for IPv6 the 64 bits of it that one customer is given.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Is4() {
		return address
	}
	prefix, _ := ip.Prefix(64) // every IPv6 address has one
	return prefix.String()
}

// Admit is for storage.Options.Admit: it counts an upload that is about to be created.
// It has to come after whoever may refuse it, or change its id.
//
// Errors: hooks.ErrTooMany in a hooks.Later; those of Permit.
func (l *Limiter) Admit(ctx context.Context, rec *storage.Record) error {
	q, ok := requestOf(ctx)
	if !ok {
		return nil
	}
	if err := q.check(ctx); err != nil {
		return err
	}
	err := q.payJoined(ctx, *rec)
	if err == nil {
		err = l.count(ctx, q, rec.ID)
	}
	if err != nil {
		l.Withdrawn(ctx, *rec)
	}
	return err
}

// count counts the upload among the live ones of the caller, and as one more that he
// has created, unless it is counted: the chunks of one upload may all come first.
func (l *Limiter) count(ctx context.Context, q *request, id string) (err error) {
	live := l.live(ctx)
	if live == 0 && l.opts.UploadsPerMinute == 0 {
		return nil
	}
	q.claimed, err = l.counts.claim(ctx, q.key, id, live, claimFor)
	if errors.Is(err, errFull) {
		return later(comeBack, "%d unfinished uploads are allowed", live)
	}
	if err != nil || q.claimed == 0 || l.opts.UploadsPerMinute == 0 {
		return err
	}
	a := allowance{"created:" + q.key, l.opts.UploadsPerMinute, time.Minute}
	wait, err := l.counts.spend(ctx, a, 1)
	if err == nil && wait > 0 {
		err = later(wait, "%d uploads a minute may be created", l.opts.UploadsPerMinute)
	}
	return err
}

// Withdrawn is for storage.Options.Withdrawn: what Admit counted in this request does
// not count any more.
func (l *Limiter) Withdrawn(ctx context.Context, rec storage.Record) {
	q, ok := requestOf(ctx)
	if !ok {
		return
	}
	q.refundJoined(ctx)
	if q.claimed == 0 {
		return
	}
	if err := l.counts.withdraw(ctx, q.key, rec.ID, q.claimed); err != nil {
		l.opts.Log.WarnContext(ctx, "an upload that was not created counts for a while", "id", rec.ID, "error", err)
	}
	q.claimed = 0
}

// live is how many unfinished uploads the caller may have, 0 for no limit.
func (l *Limiter) live(ctx context.Context) int {
	c, _ := hooks.CallerOf(ctx)
	if l.opts.LiveUploads == 0 || c.MaxLive > 0 && c.MaxLive < l.opts.LiveUploads {
		return c.MaxLive
	}
	return l.opts.LiveUploads
}

// Permit is for storage.Options.Permit: it refuses a request with a body before that
// is read, if the caller may not send so much now.
//
// Errors: hooks.ErrTooMany in a hooks.Later; storage.ErrTooLarge for a body that is too
// large for a whole day.
func (l *Limiter) Permit(ctx context.Context, up storage.Upload) error {
	q, ok := requestOf(ctx)
	if !ok || !q.hasBody {
		return nil
	}
	if err := q.check(ctx); err != nil {
		return err
	}
	if l.live(ctx) > 0 && !up.Finished && l.kept.due(up.ID, l.lifetime(up)/10) {
		return l.counts.keep(ctx, q.key, up.ID, l.lifetime(up))
	}
	return nil
}

// lifetime is how long an upload counts after its last byte: somewhat longer than it
// is kept.
func (l *Limiter) lifetime(up storage.Upload) time.Duration {
	after := l.opts.ExpireAfter
	if up.ExpireAfter > 0 {
		after = up.ExpireAfter
	}
	if after <= 0 {
		return liveFor
	}
	return after + after/5 + time.Minute
}

// Notify is for storage.Options.Notify: it says whose an upload is that was created,
// and counts those no more that end.
func (l *Limiter) Notify(ctx context.Context, e storage.Event) {
	var err error
	switch e.Type {
	case storage.Created:
		if q, ok := requestOf(ctx); ok && l.live(ctx) > 0 {
			err = l.counts.own(ctx, q.key, e.Upload.ID, l.lifetime(e.Upload))
		}
	case storage.Finished, storage.Deleted, storage.Expired:
		err = l.counts.release(ctx, e.Upload.ID)
	}
	if err != nil {
		l.opts.Log.WarnContext(ctx, "an upload was not counted", "id", e.Upload.ID, "error", err)
	}
}

func later(wait time.Duration, format string, args ...any) error {
	return &hooks.Later{Err: fmt.Errorf("%w: "+format, append([]any{hooks.ErrTooMany}, args...)...), After: wait}
}
