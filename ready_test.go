package holdfast

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

// Probes of many load balancers, while the store does not respond and after it has, cost one
// request to the store.
func TestManyProbesAskTheStoreOnce(t *testing.T) {
	var r readiness
	var asked atomic.Int32
	broken, release := errors.New("broken"), make(chan struct{})
	check := func(context.Context) error {
		asked.Add(1)
		<-release
		return broken
	}
	var probes sync.WaitGroup
	probe := func() {
		if err := r.of(t.Context(), check); err != broken {
			t.Errorf("a probe got %v", err)
		}
	}
	left, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.of(left, check); !errors.Is(err, context.Canceled) { // it goes away, the check goes on
		t.Errorf("a probe that is not waited for got %v", err)
	}
	for range 20 {
		probes.Go(probe)
	}
	close(release)
	probes.Wait()
	if asked.Load() > 2 { // a second one only if the machine paused for readyFor
		t.Errorf("the store was asked %d times", asked.Load())
	}
}
