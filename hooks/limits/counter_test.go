package limits_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/hooks/limits"
	"github.com/holdfast-upload/holdfast/hooks/limits/redislimits"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// counters returns all implementations of Counter.
func counters(t *testing.T) map[string]limits.Counter {
	t.Helper()
	client := connect(t, servers.Redis(t))
	return map[string]limits.Counter{
		"local":    limits.NewMemory(),
		"shared":   redislimits.New(client, "test:"),
		"fallback": limits.NewFallback(redislimits.New(client, "fallback:"), slog.New(slog.NewTextHandler(io.Discard, nil))),
	}
}

func connect(t *testing.T, s *servers.Server) redis.UniversalClient {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DialTimeout: 200 * time.Millisecond, DialerRetries: 1})
	t.Cleanup(func() { client.Close() })
	return client
}

func TestARefundCanBeTakenAgain(t *testing.T) {
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			ctx, a := context.Background(), limits.Quota{"bytes", 1000, 24 * time.Hour}
			for range 3 {
				if wait, err := c.Take(ctx, a, 900); err != nil || wait != 0 {
					t.Errorf("take 900 of 1000: wait %v, %v", wait, err)
				}
				if wait, err := c.Take(ctx, a, -900); err != nil || wait != 0 {
					t.Errorf("refund: wait %v, %v", wait, err)
				}
			}
		})
	}
}

func TestAQuotaIsTakenOnceAndRefills(t *testing.T) {
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			ctx, a := context.Background(), limits.Quota{"it", 100, 1000 * time.Second}
			var taken atomic.Int64
			var wait sync.WaitGroup
			for range 50 {
				wait.Go(func() {
					if after, err := c.Take(ctx, a, 5); err != nil {
						t.Error(err)
					} else if after == 0 {
						taken.Add(5)
					}
				})
			}
			wait.Wait()
			if n := taken.Load(); n < 100 || n > 105 { // a little may have been refilled
				t.Errorf("%d of 100 were taken", n)
			}
			for what, do := range map[string]func(context.Context, limits.Quota, int) (time.Duration, error){"Take": c.Take, "Peek": c.Peek} {
				if after, err := do(ctx, a, 50); err != nil || after < 400*time.Second || after > 500*time.Second {
					t.Errorf("%s: wait %v, %v, want almost 500 s", what, after, err)
				}
			}
			if after, err := c.Take(ctx, limits.Quota{"another", 100, 1000 * time.Second}, 100); err != nil || after != 0 {
				t.Errorf("another principal waits %v, %v", after, err)
			}
			if _, err := c.Take(ctx, a, -60); err != nil {
				t.Error(err)
			}
			if after, err := c.Take(ctx, a, 50); err != nil || after != 0 {
				t.Errorf("cannot take the refund: %v, %v", after, err)
			}
		})
	}
}

// Large numbers of bytes must not lose precision.
func TestAQuotaOfTerabytesIsExact(t *testing.T) {
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			ctx, a := context.Background(), limits.Quota{"big", 5 << 40, 24 * time.Hour}
			if after, err := c.Take(ctx, a, a.Capacity-1000); err != nil || after != 0 {
				t.Fatalf("%v, %v", after, err)
			}
			if after, err := c.Peek(ctx, a, 1<<40); err != nil || after < 4*time.Hour || after > 5*time.Hour {
				t.Errorf("wait %v, %v, want a fifth of a day", after, err)
			}
		})
	}
}

func TestIncompleteUploadsAreCountedUntilTheyEnd(t *testing.T) {
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			take := func(id string, wantKnown bool, want error) {
				t.Helper()
				c, err := c.Reserve(ctx, "anna", id, 2, 4*time.Second)
				if !errors.Is(err, want) || err == nil && (c == 0) != wantKnown {
					t.Errorf("reserve %s: %v, %v, want known %v, %v", id, c, err, wantKnown, want)
				}
			}
			take("a", false, nil)
			take("a", true, nil)
			take("b", false, nil)
			take("c", false, limits.ErrQuotaExhausted)
			if _, err := c.Reserve(ctx, "bert", "c", 2, time.Minute); err != nil {
				t.Errorf("another principal: %v", err)
			}
			if err := errors.Join(c.Assign(ctx, "anna", "a", time.Minute), c.Assign(ctx, "anna", "b", time.Minute)); err != nil {
				t.Error(err)
			}
			for range 2 { // it may be called twice
				if err := c.Release(ctx, "b"); err != nil {
					t.Error(err)
				}
			}
			if err := c.Touch(ctx, "bert", "a", time.Minute); err != nil { // anna stays the owner
				t.Error(err)
			}
			take("d", false, nil)
			take("e", false, limits.ErrQuotaExhausted)
			time.Sleep(4100 * time.Millisecond) // the reservation of d expires
			take("a", true, nil)
			take("f", false, nil)
			take("g", false, limits.ErrQuotaExhausted)
		})
	}
}

// isExhausted reports whether a principal with a limit of one incomplete upload has one.
func isExhausted(t *testing.T, c limits.Counter, key string) bool {
	t.Helper()
	made, err := c.Reserve(context.Background(), key, "one more", 1, time.Minute)
	if err == nil {
		err = c.Rollback(context.Background(), key, "one more", made)
	}
	if err != nil && !errors.Is(err, limits.ErrQuotaExhausted) {
		t.Error(err)
	}
	return err != nil
}

func TestAReservationByAnotherPrincipalKeepsTheOwnersCount(t *testing.T) {
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			if _, err := c.Reserve(ctx, "anna", "it", 1, time.Minute); err != nil {
				t.Fatal(err)
			}
			if err := c.Assign(ctx, "anna", "it", time.Hour); err != nil {
				t.Fatal(err)
			}
			made, err := c.Reserve(ctx, "bert", "it", 1, time.Minute)
			if err != nil || made == 0 || !isExhausted(t, c, "bert") {
				t.Errorf("reservation by another principal: %v, %v", made, err)
			}
			if err := c.Rollback(ctx, "bert", "it", made); err != nil || isExhausted(t, c, "bert") {
				t.Errorf("it still counts for the other principal, %v", err)
			}
			if !isExhausted(t, c, "anna") {
				t.Error("it no longer counts for its owner")
			}
			if err := c.Release(ctx, "it"); err != nil || isExhausted(t, c, "anna") {
				t.Errorf("it still counts for its owner after Release, %v", err)
			}
		})
	}
}

// Two requests of one principal create an upload concurrently; the slower one fails.
func TestAReservationIsNotRolledBackOnceTheUploadExists(t *testing.T) {
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			made, err := c.Reserve(ctx, "anna", "it", 1, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.Assign(ctx, "anna", "it", time.Hour), c.Rollback(ctx, "anna", "it", made)); err != nil {
				t.Fatal(err)
			}
			if !isExhausted(t, c, "anna") {
				t.Error("the existing upload does not count")
			}
		})
	}
}

// Two principals create the same id concurrently; only one succeeds.
func TestAnUploadCountsForItsCreator(t *testing.T) {
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			late, err := c.Reserve(ctx, "anna", "it", 1, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = c.Reserve(ctx, "bert", "it", 1, time.Minute); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.Assign(ctx, "bert", "it", time.Hour), c.Rollback(ctx, "anna", "it", late)); err != nil {
				t.Fatal(err)
			}
			if isExhausted(t, c, "anna") || !isExhausted(t, c, "bert") {
				t.Error("it counts for the wrong principal")
			}
			if err := c.Release(ctx, "it"); err != nil || isExhausted(t, c, "bert") {
				t.Errorf("it still counts after Release, %v", err)
			}
		})
	}
}

func TestLimitsAreEnforcedPerNodeWhileRedisIsDown(t *testing.T) {
	server := servers.Redis(t)
	f := limits.NewFallback(redislimits.New(connect(t, server), "x:"), slog.New(slog.NewTextHandler(io.Discard, nil)))
	ctx, a := context.Background(), limits.Quota{"it", 2, time.Hour}
	take := func(want bool) {
		t.Helper()
		if wait, err := f.Take(ctx, a, 1); err != nil || wait == 0 != want {
			t.Errorf("wait %v, %v", wait, err)
		}
	}
	take(true)
	server.Kill()
	began := time.Now()
	take(true)
	take(true)
	take(false) // the limit of this node applies
	for i := range 100 {
		if made, err := f.Reserve(ctx, "anna", fmt.Sprint(i), 1000, time.Minute); made == 0 || err != nil {
			t.Fatal(made, err)
		}
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("without Redis the requests took %v", took)
	}
	server.Start()
	f.RetryNow() // as if retryShared had passed
	take(true)
	if f.Down() {
		t.Error("Redis is reachable again, but not used")
	}
}
