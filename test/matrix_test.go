package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test/speakers"
)

// Whatever protocols begin, continue and finish an upload, all of them watch it at each step
// and download it at the end: 5 × 5 × 5 uploads, and 5 × 5 of these at each. The app is
// notified of each upload once.
func TestEveryProtocolContinuesTheUploadsOfEveryOther(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	s := start(t, hookFlags(app, "--hook-timeout", "1m")...)
	client := speakers.NewHTTP()
	cells := speakers.Cells()
	uploads := make([]*speakers.Upload, len(cells))
	t.Run("upload", func(t *testing.T) {
		for n, cell := range cells {
			t.Run(cell.String(), func(t *testing.T) {
				t.Parallel()
				content := NewContent(uint64(n), speakers.FileSize)
				var err error
				if uploads[n], err = cell.Run(&speakers.Client{HTTP: client, Nodes: []string{s.Addr}}, content.Bytes(content.All())); err != nil {
					t.Error(err)
				}
			})
		}
	})
	wantNotifiedOnce(t, app, uploads)
	for n, u := range uploads {
		if t.Failed() {
			return
		}
		if err := cells[n].Cancel(u); err != nil {
			t.Errorf("%s: %v", cells[n], err)
		}
		wantNothingOf(t, s, u.ID)
	}
}

// wantNotifiedOnce demands that the app is notified of the finish of each upload once, and of
// nothing else.
func wantNotifiedOnce(t *testing.T, app *App, uploads []*speakers.Upload) {
	t.Helper()
	want := map[string]bool{}
	for _, u := range uploads {
		if u == nil || u.ID == "" {
			return // its own test has failed
		}
		want[u.ID+".finished"] = true
	}
	eventually(t, 30*time.Second, "the app is notified of all uploads", func() bool {
		took := app.Took()
		for id := range want {
			if took[id] == 0 {
				return false
			}
		}
		return true
	})
	for id, times := range app.Received() {
		if strings.HasSuffix(id, ".finished") && (!want[id] || times != 1) {
			t.Errorf("the app was notified of %s, %d times", id, times)
		}
	}
	if wrong := app.Wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
	if len(want) != len(uploads) {
		t.Error("uploads have the same id")
	}
}

// Whatever protocol cancels an upload, all of them say that it is gone.
func TestEveryProtocolCancelsTheUploadsOfEveryOther(t *testing.T) {
	t.Parallel()
	s := start(t)
	http := speakers.NewHTTP()
	content := NewContent(1, speakers.FileSize)
	for _, pair := range speakers.AllPairs() {
		t.Run(pair.String(), func(t *testing.T) {
			t.Parallel()
			u, err := pair.RunCanceled(&speakers.Client{HTTP: http, Nodes: []string{s.Addr}}, content.Bytes(content.All()))
			if err != nil {
				t.Fatal(err)
			}
			wantNothingOf(t, s, u.ID)
		})
	}
}

// An upload that has all of its bytes and no size is ended by each protocol, and so is an
// empty one.
func TestEveryProtocolEndsTheUploadsOfEveryOtherWithoutAByte(t *testing.T) {
	t.Parallel()
	s := start(t)
	http := speakers.NewHTTP()
	for n, pair := range speakers.AllPairs() {
		for _, size := range []int64{0, speakers.FileSize} {
			if size == 0 && !pair.EndsEmpty() {
				continue
			}
			t.Run(fmt.Sprintf("%v, %d bytes", pair, size), func(t *testing.T) {
				t.Parallel()
				content := NewContent(uint64(n), size)
				u, err := pair.RunEnded(&speakers.Client{HTTP: http, Nodes: []string{s.Addr}}, content.Bytes(content.All()))
				if err != nil {
					t.Fatal(err)
				}
				wantOneEvent(t, s, u.ID, "finished")
			})
		}
	}
}

// While a protocol sends a chunk, all of them watch the upload.
func TestEveryProtocolWatchesAChunkOfEveryOtherThatIsBeingSent(t *testing.T) {
	t.Parallel()
	s := start(t)
	http := speakers.NewHTTP()
	content := NewContent(1, speakers.FileSize)
	for _, sends := range speakers.AllSending() {
		t.Run(sends.String(), func(t *testing.T) {
			t.Parallel()
			if _, err := sends.Run(&speakers.Client{HTTP: http, Nodes: []string{s.Addr}}, content.Bytes(content.All())); err != nil {
				t.Error(err)
			}
		})
	}
}
