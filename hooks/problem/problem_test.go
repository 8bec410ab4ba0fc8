package problem

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

func TestRetryAfterIsRoundedUp(t *testing.T) {
	for after, want := range map[time.Duration]string{
		0: "1", time.Millisecond: "1", time.Second: "1", 1001 * time.Millisecond: "2", 90 * time.Second: "90",
	} {
		if got := retryAfter(fmt.Errorf("wrapped: %w", &RetryAfterError{Err: ErrRateLimited, After: after})); got != want {
			t.Errorf("after %v: %q, want %q", after, got, want)
		}
	}
	if got := retryAfter(storage.ErrLocked); got != RetryAfter {
		t.Errorf("without a RetryAfterError: %q", got)
	}
}

// A transient error stays transient even if it wraps a permanent one.
func TestATransientErrorIsNotMappedByItsCause(t *testing.T) {
	err := storage.Unavailable("finish", "it", storage.ErrIncomplete)
	if p := From("", http.MethodHead, err); p.Status != http.StatusServiceUnavailable || !p.Retry() {
		t.Errorf("%v: %+v", err, p)
	}
}
