package hooks

import (
	"errors"
	"math"
	"strconv"
	"time"
)

var (
	// ErrUnauthenticated: nobody knows who makes the request.
	ErrUnauthenticated = errors.New("this needs a token or a ticket")
	// ErrTooMany: whoever asks has to wait; see Later.
	ErrRateLimited = errors.New("too much at once")
)

// Later is an error that passes: the same request may succeed after a while.
type RetryAfterError struct {
	Err   error
	After time.Duration
}

func (l *RetryAfterError) Error() string { return l.Err.Error() }

func (l *RetryAfterError) Unwrap() error { return l.Err }

// retryAfter is the value of a Retry-After header for err: whole seconds, rounded up.
func retryAfter(err error) string {
	var later *RetryAfterError
	if !errors.As(err, &later) {
		return RetryAfter
	}
	return strconv.Itoa(max(1, int(math.Ceil(later.After.Seconds()))))
}
