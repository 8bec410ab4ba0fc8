package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"2":                             2 * time.Second,
		"-3":                            0,
		"soon":                          0,
		"999999999999":                  time.Hour,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0,
		"Sat, 03 Jan 2026 03:04:05 GMT": time.Hour,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestOnlyFailuresThatMayPassAreRepeated(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{io.ErrUnexpectedEOF, true},
		{errIdle, true},
		{&StatusError{Status: 408}, true}, {&StatusError{Status: 423}, true}, {&StatusError{Status: 429}, true}, {&StatusError{Status: 460}, true},
		{&StatusError{Status: 500}, true}, {&StatusError{Status: 502}, true}, {&StatusError{Status: 503}, true}, {&StatusError{Status: 507}, true},
		{&StatusError{Status: 400, Code: "digestMismatch"}, true},
		{&StatusError{Status: 400}, false}, {&StatusError{Status: 401}, false}, {&StatusError{Status: 403}, false}, {&StatusError{Status: 404}, false},
		{&StatusError{Status: 409}, false}, {&StatusError{Status: 410}, false}, {&StatusError{Status: 413}, false}, {&StatusError{Status: 501}, false},
		{&StatusError{Status: 301}, false},
		{readError(io.ErrUnexpectedEOF), false},
	} {
		if got := temporary(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

func TestRequestsThatFailTogetherDelayTheUploadOnce(t *testing.T) {
	r := newRetry(time.Minute)
	begun := time.Now()
	for range 16 {
		at, err := r.after(t.Context(), begun, io.ErrUnexpectedEOF)
		if err != nil || time.Until(at) > time.Second {
			t.Fatalf("%v, %v", time.Until(at), err)
		}
	}
	if r.count != 1 {
		t.Errorf("%d failures", r.count)
	}
}

func TestFailuresInARowAreDelayedLongerEachTime(t *testing.T) {
	r := newRetry(time.Hour)
	var waits []time.Duration
	for range 12 {
		at, err := r.after(t.Context(), time.Now(), io.ErrUnexpectedEOF)
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, time.Until(at))
	}
	if waits[0] > 200*time.Millisecond || waits[11] < 10*time.Second || waits[11] > time.Minute {
		t.Errorf("%v", waits)
	}
	r.progress()
	if at, _ := r.after(t.Context(), time.Now(), io.ErrUnexpectedEOF); time.Until(at) > 200*time.Millisecond {
		t.Errorf("%v after progress", time.Until(at))
	}
	at, _ := r.after(t.Context(), time.Now(), &StatusError{Status: 503, RetryAfter: time.Minute})
	if time.Until(at) < 50*time.Second {
		t.Errorf("%v in spite of Retry-After", time.Until(at))
	}
}

func TestRetriesEndWithoutProgressOrContext(t *testing.T) {
	r := newRetry(time.Minute)
	r.progressAt = time.Now().Add(-2 * time.Minute)
	if _, err := r.after(t.Context(), time.Now(), io.ErrUnexpectedEOF); !errors.Is(err, ErrGaveUp) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
	never := newRetry(-1)
	never.progressAt = time.Now().Add(-1000 * time.Hour)
	if _, err := never.after(t.Context(), time.Now(), io.ErrUnexpectedEOF); err != nil {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errIdle)
	if _, err := newRetry(time.Minute).after(ctx, time.Now(), io.ErrUnexpectedEOF); !errors.Is(err, errIdle) {
		t.Errorf("%v", err)
	}
}
