package storage_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestMemoryLockerIsALocker(t *testing.T) {
	locker := new(storage.MemoryLocker)
	storagetest.TestLocker(t, func() storage.Locker { return locker })
}

// The locks of other uploads are acquired and released meanwhile, as on a busy node, so
// that goroutines are often preempted between two steps of the locker.
func TestF24ANewHolderIsNotContendedByThePreviousOne(t *testing.T) {
	const rounds, busy = 2000, 4
	locker := new(storage.MemoryLocker)
	var over atomic.Bool
	var others sync.WaitGroup
	for i := range busy {
		others.Go(func() {
			for !over.Load() {
				unlock, _ := locker.Lock(t.Context(), "other-"+strconv.Itoa(i), func() {})
				unlock()
			}
		})
	}
	var needless atomic.Int32
	for range rounds {
		takeOver(t, locker, func() { needless.Add(1) })
	}
	over.Store(true)
	others.Wait()
	if n := needless.Load(); n > 0 {
		t.Errorf("in %d of %d takeovers the new holder's onContended was called without a waiter", n, rounds)
	}
}

// takeOver makes one request take the lock over from another, and then release it.
func takeOver(t *testing.T, locker storage.Locker, needless func()) {
	asked, done := make(chan struct{}), make(chan struct{})
	unlock, err := locker.Lock(t.Context(), "upload", sync.OnceFunc(func() { close(asked) }))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(done)
		unlock, err := locker.Lock(t.Context(), "upload", needless)
		if err != nil {
			t.Error(err)
			return
		}
		unlock()
	}()
	<-asked
	unlock()
	<-done
}
