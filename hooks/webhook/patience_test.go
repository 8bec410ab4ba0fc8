package webhook

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/storage"
)

// An attempt to send an event is aborted after Options.Timeout, and retried.
func TestTheTimeoutAppliesToEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		attempts := map[tusd.HookType]int{}
		var timeout time.Duration
		app := &fakeApp{}
		app.answer = func(n int, r received) (int, http.Header, string, error) {
			began := time.Now()
			status, header, body, err := hang(n, r)
			mu.Lock()
			defer mu.Unlock()
			attempts[r.hook.Type]++
			if took := time.Since(began); took > timeout {
				t.Errorf("%s: waited for %v, want at most %v", r.hook.Type, took, timeout)
			}
			return status, header, body, err
		}
		opts := options(app, tusd.HookPostCreate, tusd.HookPostFinish, tusd.HookPostTerminate)
		timeout = opts.Timeout
		n := startNode(t, opts, newMemory(), &storage.MemoryLocker{})
		n.upload("a")
		if _, err := n.uploads.Create(t.Context(), storage.Record{ID: "b", Size: 5}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if err := n.uploads.Delete(t.Context(), "b"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		for _, typ := range []tusd.HookType{tusd.HookPostCreate, tusd.HookPostFinish, tusd.HookPostTerminate} {
			if attempts[typ] < 2 {
				t.Errorf("%s was sent %d times", typ, attempts[typ])
			}
		}
	})
}
