package storage

import (
	"context"
	"iter"
	"log/slog"
	"testing"
	"time"
)

// completingStore has one upload, and fails to load it as S3 does while another node
// completes it.
type completingStore struct {
	Store
	loads int
}

// List implements Store.
func (s *completingStore) List(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("one", nil) }
}

// Load implements Store.
func (s *completingStore) Load(_ context.Context, id string) (Upload, error) {
	s.loads++
	return Upload{}, Unavailable("load", id, ErrCompleting)
}

// That another node completes an upload is no error of a sweep, neither in the log nor in the
// metrics. The next sweep looks at the upload again.
func TestASweepDuringACompletionHasNoError(t *testing.T) {
	store, reported := &completingStore{}, 0
	u := New(store, new(MemoryLocker), new(MemoryCache), Options{Log: slog.New(slog.DiscardHandler), Observer: Observer{
		Sweep: func(_ time.Duration, err error) {
			if reported++; err != nil {
				t.Errorf("the sweep reports %v", err)
			}
		},
	}})
	s := &sweeper{uploads: u, recheckInterval: time.Hour}
	for range 2 {
		if err := s.sweepLocked(t.Context(), time.Second); err != nil {
			t.Errorf("the sweep: %v", err)
		}
	}
	if store.loads != 2 || reported != 2 {
		t.Errorf("the upload was loaded %d times in %d sweeps", store.loads, reported)
	}
}
