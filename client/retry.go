package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// retry decides for one upload whether to go on after a failure, and when.
type retry struct {
	giveUpAfter time.Duration
	backoff     *backoff.ExponentialBackOff
	progressAt  time.Time
	failedAt    time.Time
	count       int // of failures
}

func newRetry(giveUpAfter time.Duration) *retry {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.RandomizationFactor, b.Multiplier = 100*time.Millisecond, 30*time.Second, 0.5, 2
	return &retry{giveUpAfter: giveUpAfter, backoff: b, progressAt: time.Now()}
}

// progress says that the server has stored something.
func (r *retry) progress() {
	r.progressAt = time.Now()
	r.backoff.Reset()
}

// after returns when to go on after a request that was begun at that time has failed with
// err, or the error that ends the upload. Requests that were under way together fail
// together, which counts once.
func (r *retry) after(ctx context.Context, begun time.Time, err error) (at time.Time, fatal error) {
	if ctx.Err() != nil {
		return at, context.Cause(ctx)
	}
	if !temporary(err) {
		return at, err
	}
	now := time.Now()
	if r.giveUpAfter > 0 && now.Sub(r.progressAt) > r.giveUpAfter {
		return at, fmt.Errorf("%w after %v without progress: %w", ErrGaveUp, r.giveUpAfter, err)
	}
	var wait time.Duration
	if !begun.Before(r.failedAt) {
		r.count++
		r.failedAt = now
		wait = r.backoff.NextBackOff()
	}
	if status, ok := errors.AsType[*StatusError](err); ok {
		wait = max(wait, status.RetryAfter)
	}
	return now.Add(wait), nil
}

// do calls f until it succeeds.
func (r *retry) do(ctx context.Context, failed func(error, time.Duration), f func() error) error {
	for {
		begun := time.Now()
		err := f()
		if err == nil {
			return nil
		}
		if err := r.wait(ctx, begun, err, failed); err != nil {
			return err
		}
	}
}

// wait waits until retryAt, or returns its error or that of ctx.
func (r *retry) wait(ctx context.Context, begun time.Time, err error, failed func(error, time.Duration)) error {
	at, err := r.retryAt(ctx, begun, err, failed)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Until(at)):
		return nil
	}
}

// retryAt is after, and announces the time to failed.
func (r *retry) retryAt(ctx context.Context, begun time.Time, err error, failed func(error, time.Duration)) (time.Time, error) {
	at, fatal := r.after(ctx, begun, err)
	if fatal == nil {
		failed(err, time.Until(at))
	}
	return at, fatal
}

// temporary reports whether a request that failed with err may succeed later.
func temporary(err error) bool {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.Temporary()
	}
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, fatal := errors.AsType[*fatalError](err)
	return !certificate && !fatal
}
