package storage

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// stalledStore is a store whose listing stalls, even after its context is done.
type stalledStore struct {
	Store
	released chan struct{}
}

// List implements Store.
func (s stalledStore) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		<-ctx.Done()
		<-s.released
		yield("", ctx.Err())
	}
}

func TestAStalledSweepReleasesItsLock(t *testing.T) {
	var log bytes.Buffer
	locker, store := new(MemoryLocker), stalledStore{released: make(chan struct{})}
	u := New(store, locker, new(MemoryCache), Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	s := &sweeper{uploads: u, stallTimeout: time.Millisecond}
	ended := make(chan error)
	go func() { ended <- s.sweepLocked(t.Context(), time.Second) }()
	waiting, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	unlock, err := locker.Lock(waiting, sweepLock, func() {})
	if err != nil {
		t.Fatalf("the lock of a sweep that stalls: %v", err)
	}
	unlock()
	close(store.released)
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the sweep: %v", err)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "sweep stalled") {
		t.Errorf("the log says %q", log.String())
	}
}
