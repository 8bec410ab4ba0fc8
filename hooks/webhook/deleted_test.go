package webhook

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/storage"
)

// downUntil returns an answer that is 500 until a time, and 200 from then on.
func downUntil(back time.Time) func(int, received) (int, http.Header, string, error) {
	return func(int, received) (int, http.Header, string, error) {
		if time.Now().Before(back) {
			return 500, nil, "", nil
		}
		return 200, nil, "{}", nil
	}
}

// wantInOrder checks which events the app has acknowledged since it was back. If one node
// deletes and another delivers, both may send the deletion.
func wantInOrder(t *testing.T, app *fakeApp, back time.Time, want ...string) {
	t.Helper()
	var took []string
	for _, h := range app.received() {
		if !h.when.Before(back) {
			took = append(took, h.id)
		} else if h.id == "a.deleted" {
			t.Error("post-terminate was sent before post-finish was delivered")
		}
	}
	if !slices.Equal(slices.Compact(slices.Clone(took)), want) || len(took) > len(want)+1 {
		t.Errorf("the app acknowledged %v, want %v", took, want)
	}
}

var finishAndTerminate = []tusd.HookType{tusd.HookPostFinish, tusd.HookPostTerminate}

// F25: if a file is deleted while its post-finish is pending, both events are delivered in
// order, even by another process.
func TestF25PostFinishIsDeliveredBeforePostTerminate(t *testing.T) {
	for name, after := range map[string]func(first *node, second func() *node) *node{
		"the same process":                func(n *node, _ func() *node) *node { return n },
		"another one, after a crash":      func(n *node, second func() *node) *node { n.end(); return second() },
		"the other of two, which deletes": func(_ *node, second func() *node) *node { return second() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				back := time.Now().Add(2 * time.Hour)
				app, data, locker := &fakeApp{answer: downUntil(back)}, newMemory(), &storage.MemoryLocker{}
				first := startNode(t, options(app, finishAndTerminate...), data, locker)
				first.upload("a")
				time.Sleep(time.Minute)
				deleting := first
				second := func() *node { return startNode(t, options(app, finishAndTerminate...), data.Node(), locker) }
				if name == "the other of two, which deletes" {
					deleting = after(first, second)
				}
				if err := deleting.uploads.Delete(t.Context(), "a"); err != nil {
					t.Fatal(err)
				}
				if _, err := deleting.uploads.Get(t.Context(), "a"); err == nil {
					t.Error("it is still there")
				}
				if name != "the other of two, which deletes" {
					deleting = after(first, second)
				}
				time.Sleep(time.Hour)
				wantPending(t, data, map[string]bool{"a": false})
				if err := deleting.uploads.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(4 * time.Hour)
				wantInOrder(t, app, back, "a.finished", "a.deleted")
				wantPending(t, data, map[string]bool{})
				upload := app.received()[len(app.received())-1].hook.Event.Upload
				if upload.ID != "a" || upload.Size != 5 || upload.Offset != 5 {
					t.Errorf("post-terminate has %+v", upload)
				}
			})
		})
	}
}

// The app has received the event, and has not responded yet.
func TestPostTerminateFollowsAPostFinishInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		app, data := &fakeApp{}, newMemory()
		app.answer = func(n int, _ received) (int, http.Header, string, error) {
			if n == 0 {
				<-answer
			}
			return 200, nil, "{}", nil
		}
		n := startNode(t, options(app, finishAndTerminate...), data, &storage.MemoryLocker{})
		n.upload("a")
		synctest.Wait()
		if err := n.uploads.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if all := app.received(); len(all) != 1 {
			t.Errorf("%d hooks before the first was answered", len(all))
		}
		close(answer)
		time.Sleep(time.Hour)
		wantInOrder(t, app, time.Time{}, "a.finished", "a.deleted")
		wantPending(t, data, map[string]bool{})
	})
}

func TestPostTerminateIsSentAtOnceIfPostFinishIsNotPending(t *testing.T) {
	for name, c := range map[string]struct {
		events []tusd.HookType
		answer int
		want   []string
	}{
		"delivered":         {finishAndTerminate, 200, []string{"a.finished", "a.deleted"}},
		"dead-lettered":     {finishAndTerminate, 410, []string{"a.finished", "a.deleted"}},
		"no post-finish":    {finishAndTerminate[1:], 200, []string{"a.deleted"}},
		"no post-terminate": {finishAndTerminate[:1], 200, []string{"a.finished"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app, data := &fakeApp{}, newMemory()
				app.answer = func(n int, _ received) (int, http.Header, string, error) {
					return []int{c.answer, 200}[min(n, 1)], nil, "{}", nil
				}
				n := startNode(t, options(app, c.events...), data, &storage.MemoryLocker{})
				n.upload("a")
				time.Sleep(time.Minute)
				before := time.Now()
				if err := n.uploads.Delete(t.Context(), "a"); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				wantInOrder(t, app, time.Time{}, c.want...)
				if now := time.Now(); !now.Equal(before) {
					t.Errorf("it took %v", now.Sub(before))
				}
				wantPending(t, data, map[string]bool{})
			})
		})
	}
}

func TestRedeliverOfADeletedUploadSendsPostFinishThenPostTerminate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, data := &fakeApp{answer: always(500)}, newMemory()
		n := startNode(t, options(app, finishAndTerminate...), data, &storage.MemoryLocker{})
		n.upload("a")
		time.Sleep(time.Second)
		if err := n.uploads.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		n.end()
		other := startNode(t, options(app, finishAndTerminate...), data.Node(), &storage.MemoryLocker{})
		back := time.Now()
		app.change(always(200))
		if err := other.uploads.Redeliver(t.Context(), "a"); err != nil {
			t.Errorf("retry: %v", err)
		}
		synctest.Wait()
		wantInOrder(t, app, back, "a.finished", "a.deleted")
		wantPending(t, data, map[string]bool{})
	})
}
