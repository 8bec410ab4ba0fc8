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

// Three nodes know of an event while the app is down. At each retry time only one of them
// sends it, whichever node finished the upload, and even after nodes have died.
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

// A node finishes an upload and dies. Another node's sweeper finds the pending delivery.
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
			t.Errorf("%d sent within 4 s of their finish, when their own node may be sending them", early)
		}
		time.Sleep(time.Minute)
		if ids, sent := len(app.ids()), len(app.received())-before; ids != 20 || sent != 20 {
			t.Errorf("%d of 20 were received, from the other node %d times", ids, sent)
		}
		wantPending(t, store, map[string]bool{})
		stop()
		synctest.Wait()
	})
}

// All nodes know of an event. After the app rejects it from one node with 410, no other
// node sends it.
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
