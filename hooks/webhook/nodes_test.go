package webhook

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/storage"
)

// Three nodes know of an event while the app is down. One try is made at each instant,
// not three, whoever finished the upload, and whoever lives.
func TestNodesAgreeOnRetryTimesAndOneOfThemSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, store, locker := &fakeApp{answer: always(503)}, newMemory(), &storage.MemoryLocker{}
		var nodes []*node
		for range 3 {
			nodes = append(nodes, startNode(t, options(app, tusd.HookPostFinish), store.Node(), locker))
		}
		nodes[0].upload("a")
		for _, n := range nodes {
			if _, err := n.uploads.Get(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		if tried := len(app.received()); tried != 5 {
			t.Errorf("tried %d times in 5 minutes, want once at first and 4 times later", tried)
		}
		nodes[0].end()
		nodes[1].end()
		app.change(always(200))
		time.Sleep(10 * time.Minute)
		wantRequests(t, app, map[string]int{"a.finished": 6})
		wantPending(t, store, map[string]bool{})
	})
}

// A node finishes an upload and dies. Another one's sweeper finds what is owed.
func TestTheSweeperDeliversEventsOfDeadNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, store, locker := &fakeApp{answer: always(500)}, newMemory(), &storage.MemoryLocker{}
		dying := startNode(t, options(app, tusd.HookPostFinish), store.Node(), locker)
		for i := range 20 {
			dying.upload(fmt.Sprint("u", i))
		}
		dying.end()
		before := len(app.received())
		app.change(always(200))
		n := startNode(t, options(app, tusd.HookPostFinish), store.Node(), locker)
		sweeping, stop := context.WithCancel(t.Context())
		defer stop()
		go n.uploads.Run(sweeping, time.Minute)
		time.Sleep(4 * time.Second)
		if early := len(app.received()) - before; early > 0 {
			t.Errorf("%d told within 4 s of their finish, when whoever finished them may be at it", early)
		}
		time.Sleep(time.Minute)
		if ids, told := len(app.ids()), len(app.received())-before; ids != 20 || told != 20 {
			t.Errorf("%d of 20 were received, from the other node %d times", ids, told)
		}
		wantPending(t, store, map[string]bool{})
		stop()
		synctest.Wait()
	})
}

// All nodes know of an event. One of them hears that the app wants none of it: after
// that no other one tries.
func TestADeliveryDeadLetteredByOneNodeIsNotSentByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, store, locker := &fakeApp{answer: always(500)}, newMemory(), &storage.MemoryLocker{}
		var nodes []*node
		for range 3 {
			nodes = append(nodes, startNode(t, options(app, tusd.HookPostFinish), store.Node(), locker))
		}
		nodes[0].upload("a")
		for _, n := range nodes {
			if _, err := n.uploads.Get(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		app.change(always(http.StatusGone))
		time.Sleep(48 * time.Hour)
		wantRequests(t, app, map[string]int{"a.finished": 2})
		wantPending(t, store, map[string]bool{"a": true})
	})
}
