package webhook

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

func TestAnUnresponsiveAppDelaysNoUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, store := &fakeApp{answer: hang}, newMemory()
		n := startNode(t, options(app, tusd.HookPostFinish, tusd.HookPostCreate, tusd.HookPostReceive, tusd.HookPostTerminate), store, &storage.MemoryLocker{})
		began := time.Now()
		for i := range 2000 {
			n.upload(fmt.Sprint("u", i))
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("2000 uploads waited %v for the app", took)
		}
		time.Sleep(time.Minute)
		if app.maxConcurrent() > inFlight+notificationWorkers {
			t.Errorf("%d requests at once, want %d at most", app.maxConcurrent(), inFlight+notificationWorkers)
		}
		if s, d := n.app.Stats(), n.uploads.DeliveryStats(); s.Dropped == 0 || s.Queued > maxNotifications || d.Pending != 2000 {
			t.Errorf("stats %+v %+v", s, d)
		}
	})
}

// inFlight is the maximum number of concurrent deliveries of the outbox.
const inFlight = 16

func TestConcurrentDeliveriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, store := &fakeApp{}, newMemory()
		app.answer = func(int, received) (int, http.Header, string, error) {
			time.Sleep(time.Second)
			return 200, nil, "", nil
		}
		n := startNode(t, options(app, tusd.HookPostFinish), store, &storage.MemoryLocker{})
		began := time.Now()
		for i := range 10 * inFlight {
			n.upload(fmt.Sprint("u", i))
		}
		for n.uploads.DeliveryStats().Pending > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second || app.maxConcurrent() != inFlight {
			t.Errorf("160 took %v with %d at once, want 10 s with %d", took, app.maxConcurrent(), inFlight)
		}
	})
}

// Requests that are too large to be kept while the app is down are dropped; their uploads
// are delivered nevertheless.
func TestMemoryOfPendingRequestsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, store := &fakeApp{answer: hang}, newMemory()
		n := startNode(t, options(app, tusd.HookPostFinish), store, &storage.MemoryLocker{})
		r, err := http.NewRequest(http.MethodPut, "/files/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Long", strings.Repeat("x", 1<<20))
		ctx := protocol.WithRequest(t.Context(), r)
		for i := range 30 {
			if _, err := n.tryUpload(ctx, storage.Record{ID: fmt.Sprint("u", i), Size: 5}); err != nil {
				t.Fatal(err)
			}
		}
		app.change(always(200))
		time.Sleep(time.Hour)
		if received := len(app.ids()); received != 30 {
			t.Errorf("%d of 30 were received", received)
		}
	})
}
