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

// standing is a store whose listing stalls, whether or not anybody waits for it still.
type standing struct {
	Store
	went chan struct{}
}

// List implements Store.
func (s standing) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		<-ctx.Done()
		<-s.went
		yield("", ctx.Err())
	}
}

func TestASweepThatStandsStillGivesItsLockBack(t *testing.T) {
	var log bytes.Buffer
	locker, store := new(MemoryLocker), standing{went: make(chan struct{})}
	u := New(store, locker, new(MemoryCache), Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	s := &sweeper{uploads: u, stallTimeout: time.Millisecond}
	ended := make(chan error)
	go func() { ended <- s.sweepLocked(t.Context(), time.Second) }()
	waiting, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	unlock, err := locker.Lock(waiting, sweepLock, func() {})
	if err != nil {
		t.Fatalf("the lock of a sweep that stands still: %v", err)
	}
	unlock()
	close(store.went)
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the sweep: %v", err)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "stands still") {
		t.Errorf("the log says %q", log.String())
	}
}
