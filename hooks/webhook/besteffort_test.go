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
)

func TestBestEffortHooksOfAnUploadAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &fakeApp{answer: always(200)}
		n := startNode(t, options(app, tusd.HookPostCreate, tusd.HookPostReceive, tusd.HookPostTerminate), newMemory(), &storage.MemoryLocker{})
		if _, err := n.uploads.Create(t.Context(), storage.Record{ID: "a", Size: 10}); err != nil {
			t.Fatal(err)
		}
		if _, err := n.uploads.Write(t.Context(), "a", storage.Chunk{Body: strings.NewReader("bytes")}); err != nil {
			t.Fatal(err)
		}
		if err := n.uploads.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		types := map[tusd.HookType]int64{}
		for _, h := range app.received() {
			types[h.hook.Type] = h.hook.Event.Upload.Offset
		}
		if len(types) != 3 || types[tusd.HookPostCreate] != 0 || types[tusd.HookPostReceive] != 5 {
			t.Errorf("received, each with its offset: %v", types)
		}
		if !n.app.notificationSize.TryAcquire(maxNotificationBytes) {
			t.Error("the queue's bytes were not released")
		}
	})
}

func TestOnlyTheConfiguredEventsAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &fakeApp{answer: always(200)}
		n := startNode(t, options(app, tusd.HookPostCreate), newMemory(), &storage.MemoryLocker{})
		n.upload("a")
		if err := n.uploads.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		wantRequests(t, app, map[string]int{"a.created": 1})
	})
}

func TestEachEventGoesToItsOwnURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &fakeApp{answer: always(200)}
		opts := options(app, tusd.HookPostCreate, tusd.HookPostFinish)
		opts.URLs = map[string]string{"post-finish": "http://other.example/done"}
		startNode(t, opts, newMemory(), &storage.MemoryLocker{}).upload("a")
		time.Sleep(time.Hour)
		for _, h := range app.received() {
			want := map[tusd.HookType]string{"post-create": "http://app.example/hooks", "post-finish": "http://other.example/done"}[h.hook.Type]
			if h.http.URL.String() != want {
				t.Errorf("%s went to %s", h.hook.Type, h.http.URL)
			}
		}
	})
}

func TestPostReceiveIsThrottledPerUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &fakeApp{answer: always(200)}
		n := startNode(t, options(app, tusd.HookPostReceive), newMemory(), &storage.MemoryLocker{})
		for _, id := range []string{"a", "b"} {
			if _, err := n.uploads.Create(t.Context(), storage.Record{ID: id, Size: 1000}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 { // ten in a second
			for _, id := range []string{"a", "b"} {
				if _, err := n.uploads.Write(t.Context(), id, storage.Chunk{Offset: int64(i * 5), Body: strings.NewReader("bytes")}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		if received := len(app.received()); received != 20 {
			t.Errorf("received %d times in 10 s, want once in a second of each of two uploads", received)
		}
		time.Sleep(time.Hour)
		n.app.progress(t.Context(), storage.Upload{Record: storage.Record{ID: "c"}})
		if kept := len(n.app.receive.last); kept != 1 {
			t.Errorf("%d idle uploads are remembered", kept-1)
		}
	})
}

func TestBestEffortHooksAreRetriedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &fakeApp{answer: func(n int, _ received) (int, http.Header, string, error) {
			return []int{500, 502, 200}[n], nil, "{}", nil
		}}
		n := startNode(t, options(app, tusd.HookPostCreate), newMemory(), &storage.MemoryLocker{})
		if _, err := n.uploads.Create(t.Context(), storage.Record{ID: "a", Size: 5}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		wantRequests(t, app, map[string]int{"a.created": 3})
		app.change(always(500))
		if _, err := n.uploads.Create(t.Context(), storage.Record{ID: "b", Size: 5}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		wantRequests(t, app, map[string]int{"a.created": 3, "b.created": 3})
		if s := n.app.Stats(); s.BestEffortFailed != 1 || s.Queued != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestTheAppMayStopAnUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &fakeApp{answer: func(_ int, h received) (int, http.Header, string, error) {
			typ := http.Header{"Content-Type": {"application/json"}}
			return 200, typ, fmt.Sprintf(`{"StopUpload":%t}`, h.hook.Event.Upload.ID == "bad"), nil
		}}
		n := startNode(t, options(app, tusd.HookPostReceive, tusd.HookPostTerminate), newMemory(), &storage.MemoryLocker{})
		for _, id := range []string{"good", "bad"} {
			if _, err := n.uploads.Create(t.Context(), storage.Record{ID: id, Size: 10}); err != nil {
				t.Fatal(err)
			}
			if _, err := n.uploads.Write(t.Context(), id, storage.Chunk{Body: strings.NewReader("bytes")}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if _, err := n.uploads.Get(t.Context(), "bad"); !errors.Is(err, storage.ErrGone) {
			t.Errorf("what the app stopped: %v", err)
		}
		if _, err := n.uploads.Get(t.Context(), "good"); err != nil {
			t.Errorf("what it did not: %v", err)
		}
		if app.ids()["bad.deleted"] != 1 {
			t.Errorf("received %v", app.ids())
		}
	})
}

func TestQueuedHooksAreSentBeforeShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &fakeApp{answer: func(int, received) (int, http.Header, string, error) {
			time.Sleep(100 * time.Millisecond)
			return 200, nil, "", nil
		}}
		n := startNode(t, options(app, tusd.HookPostCreate), newMemory(), &storage.MemoryLocker{})
		for i := range 40 {
			if _, err := n.uploads.Create(t.Context(), storage.Record{ID: fmt.Sprint("u", i), Size: 5}); err != nil {
				t.Fatal(err)
			}
		}
		n.end()
		if received := len(app.received()); received != 40 {
			t.Errorf("%d of 40 were sent", received)
		}
	})
}

func TestAnAppThatHangsDoesNotDelayShutdownBeyondTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &fakeApp{answer: hang}
		n := startNode(t, options(app, tusd.HookPostCreate, tusd.HookPostFinish), newMemory(), &storage.MemoryLocker{})
		for i := range 100 {
			n.upload(fmt.Sprint("u", i))
		}
		synctest.Wait()
		began := time.Now()
		n.end()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the shutdown took %v", took)
		}
	})
}

func TestQueuedBytesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &fakeApp{answer: hang}
		n := startNode(t, options(app, tusd.HookPostCreate), newMemory(), &storage.MemoryLocker{})
		long := map[string]string{"x": strings.Repeat("x", maxNotificationBytes/400)}
		for i := range 800 {
			if _, err := n.uploads.Create(t.Context(), storage.Record{ID: fmt.Sprint("u", i), Size: 5, Metadata: long}); err != nil {
				t.Fatal(err)
			}
		}
		if s := n.app.Stats(); s.Dropped < 400 || s.Dropped > 440 {
			t.Errorf("%d of 800 were dropped, want about 400", s.Dropped)
		}
		if log := n.log.String(); strings.Count(log, "dropping best-effort hooks") != 1 {
			t.Errorf("not one line about it: %.2000s", log)
		}
	})
}
