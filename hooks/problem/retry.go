package problem

import (
	"errors"
	"math"
	"strconv"
	"time"
)

// RetryAfterError is a temporary error: the same request may succeed after a while.
type RetryAfterError struct {
	Err   error
	After time.Duration
}

func (e *RetryAfterError) Error() string { return e.Err.Error() }

func (e *RetryAfterError) Unwrap() error { return e.Err }

// retryAfter returns the value of a Retry-After header for err: whole seconds, rounded up.
func retryAfter(err error) string {
	var e *RetryAfterError
	if !errors.As(err, &e) {
		return RetryAfter
	}
	return strconv.Itoa(max(1, int(math.Ceil(e.After.Seconds()))))
}
