package webhook

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// F6: a process is killed at each step between the last byte and the record of the
// delivery. The next process delivers the event with the same id. The app receives it twice
// only where its first acknowledgement was not recorded.
func TestACrashAtAnyStepLosesNoEvent(t *testing.T) {
	for _, c := range []struct {
		step  string
		op    storagetest.Op // at which the process dies
		after bool           // the operation was persisted
		want  int            // deliveries in all
	}{
		{"before the file is completed", storagetest.Finish, false, 1},
		{"after it, before the delivery", storagetest.Finish, true, 1},
		{"after the delivery, before it is recorded", storagetest.MarkDelivered, false, 2},
		{"after it was recorded", storagetest.MarkDelivered, true, 1},
	} {
		for _, size := range []int64{0, 5} {
			t.Run(fmt.Sprint(c.step, ", ", size, " bytes"), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { crashAt(t, c.op, c.after, c.want, size) })
			})
		}
	}
}

func crashAt(t *testing.T, op storagetest.Op, after bool, want int, size int64) {
	app, data := &fakeApp{answer: always(200)}, newMemory()
	dead := false
	data.Inject(func(now storagetest.Op) storagetest.Outcome {
		switch {
		case dead: // a dead process does nothing
			return storagetest.Fails
		case now != op:
			return storagetest.Works
		}
		if dead = true; after {
			return storagetest.FailsButPersists
		}
		return storagetest.Fails
	})
	first := startNode(t, options(app, tusd.HookPostFinish), data, &storage.MemoryLocker{})
	_, err := first.tryUpload(t.Context(), storage.Record{ID: "a", Size: size})
	if err != nil && !errors.Is(err, storage.ErrUnavailable) && !errors.Is(err, storage.ErrOutOfRange) {
		t.Fatal(err)
	}
	synctest.Wait()
	if !dead {
		t.Fatal("the process did not reach that step")
	}
	alive := data.Restart()
	data.Inject(nil)
	first.end()
	second := startNode(t, options(app, tusd.HookPostFinish), alive, &storage.MemoryLocker{})
	if err := second.uploads.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
	wantRequests(t, app, map[string]int{"a.finished": want})
	wantPending(t, alive, map[string]bool{})
}

// The process dies after the app has received the event, and before it responds.
func TestACrashWhileTheAppIsRespondingLosesNoEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, data := &fakeApp{answer: hang}, newMemory()
		first := startNode(t, options(app, tusd.HookPostFinish), data, &storage.MemoryLocker{})
		first.upload("a")
		synctest.Wait()
		alive := data.Restart()
		first.end()
		app.change(always(200))
		second := startNode(t, options(app, tusd.HookPostFinish), alive, &storage.MemoryLocker{})
		if _, err := second.uploads.Get(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		wantRequests(t, app, map[string]int{"a.finished": 2})
		wantPending(t, alive, map[string]bool{})
	})
}
