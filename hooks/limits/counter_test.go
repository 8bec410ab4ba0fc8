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

// counters are all that there are, each with the clock that it goes by.
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

func TestWhatIsGivenBackCanBeSpentAgain(t *testing.T) {
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			ctx, a := context.Background(), limits.Quota{"bytes", 1000, 24 * time.Hour}
			for range 3 {
				if wait, err := c.Take(ctx, a, 900); err != nil || wait != 0 {
					t.Errorf("spend 900 of 1000: wait %v, %v", wait, err)
				}
				if wait, err := c.Take(ctx, a, -900); err != nil || wait != 0 {
					t.Errorf("give them back: wait %v, %v", wait, err)
				}
			}
		})
	}
}

func TestAllowanceIsSpentOnceAndComesBack(t *testing.T) {
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
			if n := taken.Load(); n < 100 || n > 105 { // a little may have come back
				t.Errorf("%d of 100 were spent", n)
			}
			for what, do := range map[string]func(context.Context, limits.Quota, int) (time.Duration, error){"spend": c.Take, "ask": c.Peek} {
				if after, err := do(ctx, a, 50); err != nil || after < 400*time.Second || after > 500*time.Second {
					t.Errorf("%s: wait %v, %v, want almost 500 s", what, after, err)
				}
			}
			if after, err := c.Take(ctx, limits.Quota{"another", 100, 1000 * time.Second}, 100); err != nil || after != 0 {
				t.Errorf("another caller waits %v, %v", after, err)
			}
			if _, err := c.Take(ctx, a, -60); err != nil {
				t.Error(err)
			}
			if after, err := c.Take(ctx, a, 50); err != nil || after != 0 {
				t.Errorf("what was given back is not there: %v, %v", after, err)
			}
		})
	}
}

// A day's bytes are many; the numbers must not lose any on the way.
func TestAllowanceOfTerabytesIsExact(t *testing.T) {
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

func TestLiveUploadsAreCountedUntilTheyEnd(t *testing.T) {
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			take := func(id string, wantKnown bool, want error) {
				t.Helper()
				c, err := c.Reserve(ctx, "anna", id, 2, 4*time.Second)
				if !errors.Is(err, want) || err == nil && (c == 0) != wantKnown {
					t.Errorf("claim %s: %v, %v, want known %v, %v", id, c, err, wantKnown, want)
				}
			}
			take("a", false, nil)
			take("a", true, nil)
			take("b", false, nil)
			take("c", false, limits.ErrQuotaExhausted)
			if _, err := c.Reserve(ctx, "bert", "c", 2, time.Minute); err != nil {
				t.Errorf("another caller: %v", err)
			}
			if err := errors.Join(c.Assign(ctx, "anna", "a", time.Minute), c.Assign(ctx, "anna", "b", time.Minute)); err != nil {
				t.Error(err)
			}
			for range 2 { // it may be told again
				if err := c.Release(ctx, "b"); err != nil {
					t.Error(err)
				}
			}
			if err := c.Touch(ctx, "bert", "a", time.Minute); err != nil { // it stays Anna's
				t.Error(err)
			}
			take("d", false, nil)
			take("e", false, limits.ErrQuotaExhausted)
			time.Sleep(4100 * time.Millisecond) // whoever claimed d has died
			take("a", true, nil)
			take("f", false, nil)
			take("g", false, limits.ErrQuotaExhausted)
		})
	}
}

// full tells whether a caller has a live upload, who may have one.
func full(t *testing.T, c limits.Counter, key string) bool {
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

// Whoever claims an upload that is another's changes nothing of how that counts.
func TestStrangersClaimLeavesTheOwnersCount(t *testing.T) {
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
			if err != nil || made == 0 || !full(t, c, "bert") {
				t.Errorf("a stranger's claim: %v, %v", made, err)
			}
			if err := c.Rollback(ctx, "bert", "it", made); err != nil || full(t, c, "bert") {
				t.Errorf("it still counts for the stranger, %v", err)
			}
			if !full(t, c, "anna") {
				t.Error("it does not count for its owner any more")
			}
			if err := c.Release(ctx, "it"); err != nil || full(t, c, "anna") {
				t.Errorf("it has ended, and counts for its owner, %v", err)
			}
		})
	}
}

// Two of one caller create an upload side by side: who was too late takes back nothing.
func TestClaimIsNotWithdrawnOnceTheUploadIsThere(t *testing.T) {
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
			if !full(t, c, "anna") {
				t.Error("the upload that is there does not count")
			}
		})
	}
}

// Two callers want the same new id: it counts for the one who got it.
func TestUploadCountsForWhoCreatedIt(t *testing.T) {
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
			if full(t, c, "anna") || !full(t, c, "bert") {
				t.Error("it counts for who did not create it")
			}
			if err := c.Release(ctx, "it"); err != nil || full(t, c, "bert") {
				t.Errorf("it has ended, and counts, %v", err)
			}
		})
	}
}

func TestNodeCountsForItselfWhileRedisIsDown(t *testing.T) {
	server := servers.Redis(t)
	f := limits.NewFallback(redislimits.New(connect(t, server), "x:"), slog.New(slog.NewTextHandler(io.Discard, nil)))
	ctx, a := context.Background(), limits.Quota{"it", 2, time.Hour}
	spend := func(want bool) {
		t.Helper()
		if wait, err := f.Take(ctx, a, 1); err != nil || wait == 0 != want {
			t.Errorf("wait %v, %v", wait, err)
		}
	}
	spend(true)
	server.Kill()
	began := time.Now()
	spend(true)
	spend(true)
	spend(false) // its own limit holds
	for i := range 100 {
		if made, err := f.Reserve(ctx, "anna", fmt.Sprint(i), 1000, time.Minute); made == 0 || err != nil {
			t.Fatal(made, err)
		}
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("without Redis it took %v", took)
	}
	server.Start()
	f.RetryNow() // as if the time to try again had come
	spend(true)
	if f.Down() {
		t.Error("Redis is back, and not asked")
	}
}
