package limits

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

	"github.com/holdfast-upload/holdfast/test/servers"
)

// counters are all that there are, each with the clock that it goes by.
func counters(t *testing.T) map[string]counter {
	t.Helper()
	client := connect(t, servers.Redis(t))
	return map[string]counter{
		"local":    newLocal(),
		"shared":   newShared(client, "test:"),
		"fallback": &fallback{shared: newShared(client, "fallback:"), local: newLocal(), log: slog.New(slog.NewTextHandler(io.Discard, nil))},
	}
}

func connect(t *testing.T, s *servers.Server) redis.UniversalClient {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DialTimeout: 200 * time.Millisecond, DialerRetries: 1})
	t.Cleanup(func() { client.Close() })
	return client
}

func TestAllowanceIsSpentOnceAndComesBack(t *testing.T) {
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			ctx, a := context.Background(), allowance{"it", 100, 10 * time.Second}
			var taken atomic.Int64
			var wait sync.WaitGroup
			for range 50 {
				wait.Go(func() {
					if after, err := c.spend(ctx, a, 5); err != nil {
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
			for what, do := range map[string]func(context.Context, allowance, int) (time.Duration, error){"spend": c.spend, "ask": c.ask} {
				if after, err := do(ctx, a, 50); err != nil || after < 3*time.Second || after > 5*time.Second {
					t.Errorf("%s: wait %v, %v, want almost 5 s", what, after, err)
				}
			}
			if after, err := c.spend(ctx, allowance{"another", 100, 10 * time.Second}, 100); err != nil || after != 0 {
				t.Errorf("another caller waits %v, %v", after, err)
			}
			if _, err := c.spend(ctx, a, -60); err != nil {
				t.Error(err)
			}
			if after, err := c.spend(ctx, a, 50); err != nil || after != 0 {
				t.Errorf("what was given back is not there: %v, %v", after, err)
			}
		})
	}
}

// A day's bytes are many; the numbers must not lose any on the way.
func TestAllowanceOfTerabytesIsExact(t *testing.T) {
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			ctx, a := context.Background(), allowance{"big", 5 << 40, 24 * time.Hour}
			if after, err := c.spend(ctx, a, a.most-1000); err != nil || after != 0 {
				t.Fatalf("%v, %v", after, err)
			}
			if after, err := c.ask(ctx, a, 1<<40); err != nil || after < 4*time.Hour || after > 5*time.Hour {
				t.Errorf("wait %v, %v, want a fifth of a day", after, err)
			}
		})
	}
}

func TestLiveUploadsAreCountedUntilTheyEnd(t *testing.T) {
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			claim := func(id string, wantKnown bool, want error) {
				t.Helper()
				if known, err := c.claim(ctx, "anna", id, 2, 300*time.Millisecond); known != wantKnown || !errors.Is(err, want) {
					t.Errorf("claim %s: %v, %v, want %v, %v", id, known, err, wantKnown, want)
				}
			}
			claim("a", false, nil)
			claim("a", true, nil)
			claim("b", false, nil)
			claim("c", false, errFull)
			if _, err := c.claim(ctx, "bert", "c", 2, time.Minute); err != nil {
				t.Errorf("another caller: %v", err)
			}
			for range 2 { // it may be told again
				if err := c.release(ctx, "b"); err != nil {
					t.Error(err)
				}
			}
			if err := c.keep(ctx, "bert", "a", time.Minute); err != nil { // it stays Anna's
				t.Error(err)
			}
			claim("d", false, nil)
			claim("e", false, errFull)
			time.Sleep(400 * time.Millisecond) // whoever claimed d has died
			claim("a", true, nil)
			claim("f", false, nil)
			claim("g", false, errFull)
		})
	}
}

func TestNodeCountsForItselfWhileRedisIsDown(t *testing.T) {
	server := servers.Redis(t)
	f := &fallback{shared: newShared(connect(t, server), "x:"), local: newLocal(), log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	ctx, a := context.Background(), allowance{"it", 2, time.Hour}
	spend := func(want bool) {
		t.Helper()
		if wait, err := f.spend(ctx, a, 1); err != nil || wait == 0 != want {
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
		if known, err := f.claim(ctx, "anna", fmt.Sprint(i), 1000, time.Minute); known || err != nil {
			t.Fatal(known, err)
		}
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("without Redis it took %v", took)
	}
	server.Start()
	f.next.Store(0) // as if the time to try again had come
	spend(true)
	if f.down.Load() {
		t.Error("Redis is back, and not asked")
	}
}
