package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestAFinishedUploadIsDeliveredAtOnceAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, store := &fakeApp{answer: always(http.StatusNoContent)}, newMemory()
		n := startNode(t, options(app, tusd.HookPostFinish), store, &storage.MemoryLocker{})
		began := time.Now()
		n.upload("a")
		synctest.Wait()
		if now := time.Now(); !now.Equal(began) {
			t.Errorf("it took %v", now.Sub(began))
		}
		if _, err := n.uploads.Get(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(48 * time.Hour)
		wantRequests(t, app, map[string]int{"a.finished": 1})
		wantPending(t, store, map[string]bool{})
		if s := n.uploads.DeliveryStats(); s.Delivered != 1 || s.Failed != 0 || s.Pending != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// An app that was unavailable receives the event with the same id when it is back.
func TestDeliveriesAreRetriedUntilTheAppIsBack(t *testing.T) {
	for name, down := range map[string]func(int, received) (int, http.Header, string, error){
		"500": always(500), "404": always(404), "401": always(401), "redirect": always(302), "reset": reset, "hangs": hang,
	} {
		for _, outage := range []time.Duration{time.Second, time.Hour, 23 * time.Hour} {
			t.Run(fmt.Sprint(name, " for ", outage), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					back := time.Now().Add(outage)
					app, store := &fakeApp{}, newMemory()
					app.answer = func(n int, h received) (int, http.Header, string, error) {
						if time.Now().Before(back) {
							return down(n, h)
						}
						return 200, nil, "", nil
					}
					n := startNode(t, options(app, tusd.HookPostFinish), store, &storage.MemoryLocker{})
					n.upload("a")
					time.Sleep(24 * time.Hour)
					last := app.received()[len(app.received())-1]
					if late := last.when.Sub(back); late < 0 || late > 45*time.Minute {
						t.Errorf("received %v after it was back", late)
					}
					for _, h := range app.received() {
						if h.id != "a.finished" {
							t.Errorf("the id is %q", h.id)
						}
					}
					wantPending(t, store, map[string]bool{})
				})
			})
		}
	}
}

func TestADeliveryIsDeadLetteredAfterItsMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, store := &fakeApp{answer: always(500)}, newMemory()
		n := startNode(t, options(app, tusd.HookPostFinish), store, &storage.MemoryLocker{})
		n.upload("a")
		time.Sleep(25 * time.Hour)
		wantPending(t, store, map[string]bool{"a": true})
		tried := len(app.received())
		if tried != 1+7+47 {
			t.Errorf("tried %d times, want 55", tried)
		}
		if _, err := n.uploads.Get(t.Context(), "a"); err != nil { // loading it starts no delivery
			t.Fatal(err)
		}
		if err := n.uploads.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Hour)
		if again := len(app.received()); again != tried {
			t.Errorf("%d attempts after it was dead-lettered", again-tried)
		}
		if s := n.uploads.DeliveryStats(); s.DeadLettered != 1 || s.Pending != 0 {
			t.Errorf("stats %+v", s)
		}
		app.change(always(200))
		if err := n.uploads.Redeliver(t.Context(), "a"); err != nil {
			t.Errorf("redeliver: %v", err)
		}
		wantPending(t, store, map[string]bool{})
	})
}

func TestNothingIsDeliveredAfterA410(t *testing.T) {
	for name, fault := range map[string]storagetest.Outcome{"": storagetest.Works, "dead-lettering fails at first": storagetest.Fails, "dead-lettering persists, its response is lost": storagetest.FailsButPersists} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app, store, failures := &fakeApp{answer: always(http.StatusGone)}, newMemory(), 2
				store.Inject(func(op storagetest.Op) storagetest.Outcome {
					if op == storagetest.DeadLetter && failures > 0 {
						failures--
						return fault
					}
					return storagetest.Works
				})
				n := startNode(t, options(app, tusd.HookPostFinish), store, &storage.MemoryLocker{})
				n.upload("a")
				time.Sleep(100 * time.Hour)
				n.end()
				other := startNode(t, options(app, tusd.HookPostFinish), store, &storage.MemoryLocker{})
				if err := other.uploads.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Hour)
				wantRequests(t, app, map[string]int{"a.finished": 1})
				wantPending(t, store, map[string]bool{"a": true})
			})
		})
	}
}

func TestRetryAfterOfTheAppIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, store := &fakeApp{}, newMemory()
		app.answer = func(n int, _ received) (int, http.Header, string, error) {
			return []int{429, 200}[min(n, 1)], http.Header{"Retry-After": {"600"}}, "", nil
		}
		n := startNode(t, options(app, tusd.HookPostFinish), store, &storage.MemoryLocker{})
		n.upload("a")
		time.Sleep(time.Hour)
		all := app.received()
		if len(all) != 2 {
			t.Fatalf("tried %d times", len(all))
		}
		if pause := all[1].when.Sub(all[0].when); pause < 10*time.Minute || pause > 20*time.Minute {
			t.Errorf("tried again after %v, want the first try after 10 minutes", pause)
		}
	})
}

func TestADeliveryThatCouldNotBeRecordedIsNotRepeatedByTheSameProcess(t *testing.T) {
	for _, outcome := range []storagetest.Outcome{storagetest.Fails, storagetest.FailsButPersists} {
		t.Run(outcome.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app, store, failures := &fakeApp{answer: always(200)}, newMemory(), 3
				store.Inject(func(op storagetest.Op) storagetest.Outcome {
					if op == storagetest.MarkDelivered && failures > 0 {
						failures--
						return outcome
					}
					return storagetest.Works
				})
				n := startNode(t, options(app, tusd.HookPostFinish), store, &storage.MemoryLocker{})
				n.upload("a")
				time.Sleep(time.Hour)
				wantRequests(t, app, map[string]int{"a.finished": 1})
				wantPending(t, store, map[string]bool{})
			})
		})
	}
}

func TestRedeliverReturnsTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, store := &fakeApp{answer: always(500)}, newMemory()
		n := startNode(t, options(app, tusd.HookPostFinish), store, &storage.MemoryLocker{})
		n.upload("a")
		time.Sleep(2 * time.Second)
		if err := n.uploads.Redeliver(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "500") {
			t.Errorf("an app that fails: %v", err)
		}
		app.change(always(410))
		if err := n.uploads.Redeliver(t.Context(), "a"); !errors.Is(err, storage.ErrRejected) {
			t.Errorf("an app that rejects: %v", err)
		}
		wantPending(t, store, map[string]bool{"a": true})
		app.change(always(200))
		if err := n.uploads.Redeliver(t.Context(), "a"); err != nil {
			t.Errorf("an app that acknowledges: %v", err)
		}
		for _, id := range []string{"a", "never"} {
			if err := n.uploads.Redeliver(t.Context(), id); !errors.Is(err, storage.ErrNotPending) {
				t.Errorf("%s is not pending: %v", id, err)
			}
		}
		time.Sleep(48 * time.Hour)
		wantRequests(t, app, map[string]int{"a.finished": 4})
	})
}
