package cluster

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test"
)

// startHooked is start with an app that is notified of finished files; the tries that fail
// are repeated 50 times as soon as by default.
func startHooked(t *testing.T) (*cluster, *test.App) {
	t.Helper()
	app, err := test.NewApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	c := start(t, "--hook-url", app.URL(), "--hook-secret", test.HookSecret, "--hook-timeout", "10s",
		"--hook-retry-initial", "100ms", "--hook-retry-max-age", "1h", "--sweep-interval", "1s")
	return c, app
}

// putSmall uploads small files, each by another node, and returns the ids of the events
// which have to be delivered.
func (c *cluster) putSmall(files int) []string {
	events := make([]string, files)
	var senders sync.WaitGroup
	for n := range files {
		events[n] = fmt.Sprintf("small-%d.finished", n)
		senders.Go(func() {
			url := c.nodes[n%len(c.nodes)].URL(fmt.Sprintf("small-%d", n))
			req, err := http.NewRequestWithContext(context.Background(), http.MethodPut, url, strings.NewReader("a small file"))
			if err == nil {
				var answer test.Answer
				answer, err = test.Do(clientHTTP, req)
				if err == nil && answer.Status != http.StatusCreated {
					err = fmt.Errorf("%d: %s", answer.Status, answer.Body)
				}
			}
			if err != nil {
				c.t.Errorf("%s: %v", events[n], err)
			}
		})
	}
	senders.Wait()
	return events
}

// missing are the events that the app has not taken.
func missing(app *test.App, events []string) []string {
	took := app.Took()
	var out []string
	for _, e := range events {
		if took[e] == 0 {
			out = append(out, e)
		}
	}
	return out
}

func wantTaken(t *testing.T, app *test.App, events []string) {
	t.Helper()
	for deadline := time.Now().Add(deliveredWithin); len(missing(app, events)) > 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not delivered: %v", missing(app, events))
		}
	}
	for _, wrong := range app.Wrong() {
		t.Errorf("not to be believed: %s", wrong)
	}
}

// F6: the app is down while files are finished on all nodes. Two of these die; the one
// that is left delivers all.
func TestF06OneNodeThatLivesDeliversWhatAllHaveFinished(t *testing.T) {
	t.Parallel()
	const files = 90
	c, app := startHooked(t)
	app.Be(func(test.Hook) test.Mood { return test.Fails })
	events := c.putSmall(files)
	c.nodes[0].Kill()
	c.nodes[1].Kill()
	app.Be(func(test.Hook) test.Mood { return test.Takes })
	wantTaken(t, app, events)
	t.Logf("%d files on three nodes, of which one was left: all delivered", files)
}

// A client that asks any node for a file during its delivery causes no second delivery, and
// while the app is down, three nodes that all know of a file try no more often than one.
func TestNodesDoNotDeliverWhatAnotherOneDelivers(t *testing.T) {
	t.Parallel()
	const files = 30
	c, app := startHooked(t)
	wantTaken(t, app, c.putSmall(files))
	time.Sleep(2 * time.Second) // for sweeps
	delivered := 0
	for _, times := range app.Received() {
		delivered += times
	}
	if delivered != files {
		t.Errorf("%d files were delivered %d times", files, delivered)
	}

	app.Be(func(test.Hook) test.Mood { return test.Fails })
	req := mustRequest(t, http.MethodPut, c.nodes[0].URL("wanted"), strings.NewReader("a file"))
	if answer := do(t, req); answer.Status != http.StatusCreated {
		t.Fatalf("%d: %s", answer.Status, answer.Body)
	}
	for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(50 * time.Millisecond) {
		for n := range c.nodes {
			do(t, mustRequest(t, http.MethodHead, c.nodes[n].URL("wanted"), nil))
		}
	}
	// At once, and after 0.1, 0.4, 1.2 and 3.6 s or somewhat later.
	tries := app.Received()["wanted.finished"]
	if t.Logf("%d files were delivered %d times; one was tried %d times in 5 s by three nodes", files, delivered, tries); tries < 3 || tries > 10 {
		t.Errorf("tried %d times", tries)
	}
	app.Be(func(test.Hook) test.Mood { return test.Takes })
	wantTaken(t, app, []string{"wanted.finished"})
}
