// Package limits bounds what one principal may use of a shared server: the uploads
// created per minute, the incomplete uploads at a time, and the bytes sent or
// concatenated per day. A principal without a subject is identified by its address.
//
// Nodes with a shared Counter count together. While that fails each node counts by
// itself: a limit may then be exceeded by a factor of the number of nodes, but no
// request is rejected wrongly. What a node had counted when it died expires.
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

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

// Options are the limits of each principal. Zero is no limit; a principal may have
// others of its own: see protocol.Limits.
type Options struct {
	UploadsPerMinute  int
	IncompleteUploads int
	BytesPerDay       int64

	URLs protocol.URLs // finds the address of a client
	// ExpireAfter is how long an unfinished upload is kept after its last byte; 0 keeps
	// it for ever.
	ExpireAfter time.Duration
	// Shared counts together with other nodes; nil counts in this process.
	Shared Counter
	// Log is slog.Default() if nil.
	Log *slog.Logger
}

// Enabled reports whether any limit holds for all principals.
func (l *Limiter) Enabled() bool {
	return l.opts.UploadsPerMinute > 0 || l.opts.IncompleteUploads > 0 || l.opts.BytesPerDay > 0
}

const (
	// reservationTTL is how long a reservation of an upload counts.
	reservationTTL = time.Minute
	// incompleteTTL is how long an idle upload counts if uploads do not expire.
	incompleteTTL = 24 * time.Hour
	// retryAfter is the Retry-After when too many uploads are incomplete.
	retryAfter = 10 * time.Second
)

// Limiter enforces limits. Create it with New.
type Limiter struct {
	opts    Options
	counts  Counter
	touched recent // uploads whose lifetime was extended recently
}

// New returns a Limiter.
func New(opts Options) *Limiter {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	l := &Limiter{opts: opts, counts: newMemory(), touched: newRecent()}
	if opts.Shared != nil {
		l.counts = &fallback{shared: opts.Shared, memory: l.counts, log: opts.Log}
	}
	return l
}

// Begin is for protocol.Options.Guards: it has limits enforced on a request. Authentication,
// if any, must run before it.
func (l *Limiter) Begin(x *protocol.Exchange) error {
	q := l.request(x.Request())
	x.Quota = q
	if q.metered() {
		x.Body.Limit(q)
	}
	return nil
}

// key identifies a principal in the counter, without its name in the clear.
func (l *Limiter) key(r *http.Request) string {
	c, _ := protocol.PrincipalFrom(r.Context())
	if c.Subject != "" {
		sum := sha256.Sum256([]byte(c.Subject))
		return "s:" + hex.EncodeToString(sum[:16])
	}
	return "a:" + network(l.opts.URLs.Client(r))
}

// network returns an IPv4 address as it is, and the /64 prefix of an IPv6 address.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Is4() {
		return address
	}
	prefix, _ := ip.Prefix(64) // every IPv6 address has one
	return prefix.String()
}

// BeforeCreate counts an upload that is about to be created. It must run after every
// policy that may reject the upload or change its id.
//
// Errors: problem.ErrRateLimited in a problem.RetryAfterError; those of Authorize.
func (l *Limiter) BeforeCreate(ctx context.Context, rec *storage.Record) error {
	q, ok := requestOf(ctx)
	if !ok {
		return nil
	}
	if err := q.check(ctx); err != nil {
		return err
	}
	err := q.chargeConcat(ctx, *rec)
	if err == nil {
		err = l.count(ctx, q, rec.ID)
	}
	if err != nil {
		l.CreateFailed(ctx, *rec)
	}
	return err
}

// count counts the upload among the incomplete and the created ones of the principal,
// unless it is counted already: any chunk of an upload may create it.
func (l *Limiter) count(ctx context.Context, q *request, id string) (err error) {
	limit := l.maxIncomplete(ctx)
	if limit == 0 && l.opts.UploadsPerMinute == 0 {
		return nil
	}
	q.reserved, err = l.counts.Reserve(ctx, q.key, id, limit, reservationTTL)
	if errors.Is(err, ErrQuotaExhausted) {
		return retryLater(retryAfter, "%d incomplete uploads are allowed", limit)
	}
	if err != nil || q.reserved == 0 || l.opts.UploadsPerMinute == 0 {
		return err
	}
	a := Quota{"created:" + q.key, l.opts.UploadsPerMinute, time.Minute}
	wait, err := l.counts.Take(ctx, a, 1)
	if err == nil && wait > 0 {
		err = retryLater(wait, "%d uploads a minute may be created", l.opts.UploadsPerMinute)
	}
	return err
}

// CreateFailed reverts what BeforeCreate counted in this request.
func (l *Limiter) CreateFailed(ctx context.Context, rec storage.Record) {
	q, ok := requestOf(ctx)
	if !ok {
		return
	}
	q.refundConcat(ctx)
	if q.reserved == 0 {
		return
	}
	if err := l.counts.Rollback(ctx, q.key, rec.ID, q.reserved); err != nil {
		l.opts.Log.WarnContext(ctx, "cannot roll back the reservation of an upload; it counts until it expires", "id", rec.ID, "error", err)
	}
	q.reserved = 0
}

// maxIncomplete returns how many incomplete uploads the principal may have, 0 for no limit.
func (l *Limiter) maxIncomplete(ctx context.Context) int {
	c, _ := protocol.PrincipalFrom(ctx)
	if l.opts.IncompleteUploads == 0 || c.MaxIncomplete > 0 && c.MaxIncomplete < l.opts.IncompleteUploads {
		return c.MaxIncomplete
	}
	return l.opts.IncompleteUploads
}

// Authorize rejects a request with a body, before that is read, if the principal may
// not send so much now.
//
// Errors: problem.ErrRateLimited in a problem.RetryAfterError; storage.ErrTooLarge for a body
// that exceeds the limit of a whole day.
func (l *Limiter) Authorize(ctx context.Context, up storage.Upload) error {
	q, ok := requestOf(ctx)
	if !ok || !q.hasBody {
		return nil
	}
	if err := q.check(ctx); err != nil {
		return err
	}
	if l.maxIncomplete(ctx) > 0 && !up.Finished && l.touched.due(up.ID, l.lifetime(up)/10) {
		return l.counts.Touch(ctx, q.key, up.ID, l.lifetime(up))
	}
	return nil
}

// lifetime returns how long an upload counts after its last byte: somewhat longer
// than it is kept.
func (l *Limiter) lifetime(up storage.Upload) time.Duration {
	after := l.opts.ExpireAfter
	if up.ExpireAfter > 0 {
		after = up.ExpireAfter
	}
	if after <= 0 {
		return incompleteTTL
	}
	return after + after/5 + time.Minute
}

// OnEvent records the owner of a created upload, and stops counting uploads that end.
func (l *Limiter) OnEvent(ctx context.Context, e storage.Event) {
	var err error
	switch e.Type {
	case storage.Created:
		if q, ok := requestOf(ctx); ok && l.maxIncomplete(ctx) > 0 {
			err = l.counts.Assign(ctx, q.key, e.Upload.ID, l.lifetime(e.Upload))
		}
	case storage.Finished, storage.Deleted, storage.Expired:
		err = l.counts.Release(ctx, e.Upload.ID)
	}
	if err != nil {
		l.opts.Log.WarnContext(ctx, "cannot update the count of incomplete uploads", "id", e.Upload.ID, "error", err)
	}
}

func retryLater(wait time.Duration, format string, args ...any) error {
	return &problem.RetryAfterError{Err: fmt.Errorf("%w: "+format, append([]any{problem.ErrRateLimited}, args...)...), After: wait}
}
