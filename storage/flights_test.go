package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A request never gets a state from before it arrived.
func TestARequestOnlySharesALoadThatStartsAfterIt(t *testing.T) {
	var g flights
	var now, runs atomic.Int64
	release, generation := make(chan struct{}), make(chan struct{}, 100)
	run := func(context.Context) (Upload, error) {
		runs.Add(1)
		at := now.Load()
		generation <- struct{}{}
		<-release
		return Upload{Record: Record{Size: at}}, nil
	}
	var asking sync.WaitGroup
	ask := func(least int64) {
		asking.Go(func() {
			if up, err := g.do(t.Context(), "id", run); err != nil || up.Size < least {
				t.Errorf("state %d, %v; want %d or later", up.Size, err, least)
			}
		})
	}
	ask(0)
	<-generation
	now.Store(1)
	for range 20 {
		ask(1)
	}
	waitFor(t, func() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.current["id"].next != nil })
	close(release)
	asking.Wait()
	if len(g.current) != 0 {
		t.Errorf("%d flights are left", len(g.current))
	}
	if n := runs.Load(); n < 2 || n > 21 {
		t.Errorf("%d runs", n)
	}
}

func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !what(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("timeout waiting for a condition")
		}
	}
}

func TestASharedLoadIsNotCanceledWithItsRequest(t *testing.T) {
	var g flights
	ctx, cancel := context.WithCancel(t.Context())
	_, err := g.do(ctx, "id", func(ctx context.Context) (Upload, error) {
		cancel()
		return Upload{}, ctx.Err()
	})
	if err != nil {
		t.Errorf("the load was canceled with its request: %v", err)
	}
	release, generation := make(chan struct{}), make(chan struct{})
	go func() {
		_, _ = g.do(t.Context(), "id", func(context.Context) (Upload, error) { close(generation); <-release; return Upload{}, nil })
	}()
	<-generation
	waiting := make(chan error)
	go func() { // leads the next run
		_, err := g.do(t.Context(), "id", func(context.Context) (Upload, error) { return Upload{}, ErrGone })
		waiting <- err
	}()
	waitFor(t, func() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.current["id"].next != nil })
	if _, err := g.do(ctx, "id", nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a request canceled while it waits: %v, want ErrUnavailable", err)
	}
	close(release)
	if err := <-waiting; !errors.Is(err, ErrGone) {
		t.Errorf("the next run: %v", err)
	}
}

func TestALoadThatPanicsDoesNotBlockOthers(t *testing.T) {
	var g flights
	func() {
		defer func() { _ = recover() }()
		_, _ = g.do(t.Context(), "id", func(context.Context) (Upload, error) { panic("made up") })
	}()
	if _, err := g.do(t.Context(), "id", func(context.Context) (Upload, error) { return Upload{}, ErrGone }); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
	if fmt.Sprint(g.current) != "map[]" {
		t.Error("a flight is left")
	}
}
