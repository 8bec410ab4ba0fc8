package test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test/servers"
)

// hookFlags are those of a server that notifies the app, sped up: tries after
// 20, 80, 240 and 720 ms, 1.9, 3.6 and 7.2 s, and then every 7.2 s.
func hookFlags(app *App, more ...string) []string {
	return append([]string{"--hook-url", app.URL(), "--hook-secret", HookSecret, "--hook-timeout", "300ms",
		"--hook-retry-initial", "20ms", "--hook-retry-max-age", "10m", "--sweep-interval", "1s", "--admin-listen", "127.0.0.1:0"}, more...)
}

func startApp(t *testing.T) *App {
	t.Helper()
	app, err := NewApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	return app
}

// onS3 has the server keep its files in a bucket of their own.
func onS3(t *testing.T, args []string) *Server {
	t.Helper()
	return &Server{
		Bin: holdfast, Data: filepath.Join(t.TempDir(), "unused"),
		Wrap: []string{"env", "AWS_ACCESS_KEY_ID=" + servers.AccessKey, "AWS_SECRET_ACCESS_KEY=" + servers.SecretKey},
		Args: append([]string{"--s3-bucket", "uploads", "--s3-endpoint", servers.S3(t).URL("http"), "--s3-path-style", "--s3-create-bucket"}, args...),
	}
}

// F6: 1,000 files are uploaded while the app fails, hangs, resets connections and is
// down for a while, and the server is killed again and again. The app takes each of
// them under the one id that it has, none is left pending, and nothing else is delivered.
func TestF06EveryFinishedUploadIsDeliveredHoweverOftenAppAndServerDie(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T, []string) *Server{
		"disk": func(t *testing.T, args []string) *Server {
			return &Server{Bin: holdfast, Data: filepath.Join(t.TempDir(), "data"), Args: args}
		},
		"S3": onS3,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startApp(t)
			s := open(t, hookFlags(app))
			run(t, s)
			(&storm{t: t, app: app, server: s}).blow(1000)
			refuseForGood(t, app, s)
		})
	}
}

// storm uploads files while all goes wrong that can.
type storm struct {
	t      *testing.T
	app    *App
	server *Server
	kills  atomic.Int64
	moods  map[Mood]int
}

func (st *storm) blow(files int) {
	t := st.t
	began := time.Now()
	ctx, calm := context.WithCancel(t.Context())
	var raging, uploading sync.WaitGroup
	raging.Go(func() { st.rage(ctx) })
	raging.Go(func() { st.kill(ctx) })
	next, base := atomic.Int64{}, st.server.URL("") // the same after each start
	for range 8 {
		uploading.Go(func() {
			for n := next.Add(1); n <= int64(files); n = next.Add(1) {
				content := NewContent(uint64(n), 1000+n)
				c := &Client{HTTP: http.DefaultClient, URL: fmt.Sprint(base, "file-", n), Content: content}
				answer, err := c.PutUntilTaken(t.Context(), content.Chunks(1 << 20)[0])
				if err != nil || answer.Status != http.StatusCreated {
					t.Errorf("file %d: %d, %v", n, answer.Status, err)
				}
			}
		})
	}
	uploading.Wait()
	for st.ragesOn(began) {
		time.Sleep(100 * time.Millisecond)
	}
	calm()
	raging.Wait()
	uploaded := time.Since(began)
	st.app.Be(func(Hook) Mood { return Takes })
	eventually(t, 90*time.Second, "nothing is pending", func() bool { return len(deliveries(t, st.server)) == 0 })
	st.count(files, uploaded)
}

// ragesOn reports whether not enough has gone wrong yet.
func (st *storm) ragesOn(began time.Time) bool {
	return time.Since(began) < 12*time.Second || st.kills.Load() < 3
}

// rage changes the app's mood again and again, and once takes it down for seconds.
func (st *storm) rage(ctx context.Context) {
	st.moods = map[Mood]int{}
	for n := 0; ctx.Err() == nil; n++ {
		if n == 4 {
			st.app.Stop()
			pause(ctx, 3*time.Second)
			if err := st.app.Start(); err != nil {
				st.t.Errorf("the app does not come back: %v", err)
			}
		}
		mood := Mood(rand.IntN(int(Resets) + 1))
		st.moods[mood]++
		st.app.Be(func(Hook) Mood { return mood })
		pause(ctx, 200*time.Millisecond+rand.N(time.Second))
	}
}

// kill kills the server at random moments, 15 times at most, and starts it again.
func (st *storm) kill(ctx context.Context) {
	for ctx.Err() == nil && st.kills.Load() < 15 {
		pause(ctx, 300*time.Millisecond+rand.N(2*time.Second))
		st.server.Kill()
		st.kills.Add(1)
		if err := st.server.Start(); err != nil {
			st.t.Errorf("the server does not come back: %v", err)
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// count compares what the app received with what was uploaded.
func (st *storm) count(files int, took time.Duration) {
	t := st.t
	received, taken := st.app.Received(), st.app.Took()
	deliveries, again := 0, 0
	for n := 1; n <= files; n++ {
		id := fmt.Sprintf("file-%d.finished", n)
		if taken[id] == 0 {
			t.Errorf("%s was never acknowledged, and delivered %d times", id, received[id])
		}
		again += taken[id] - 1
		deliveries += received[id]
		delete(received, id)
	}
	if len(received) > 0 {
		t.Errorf("the app received what there is not: %v", received)
	}
	for _, wrong := range st.app.Wrong() {
		t.Errorf("not to be believed: %s", wrong)
	}
	t.Logf("%d files in %v, %d kills, moods %v: delivered %d times, %d of them acknowledged, %d again",
		files, took.Round(100*time.Millisecond), st.kills.Load(), st.moods, deliveries, len(taken), again)
	if st.kills.Load() < 3 || deliveries <= files {
		t.Errorf("too calm to prove anything: %d kills, delivered %d times", st.kills.Load(), deliveries)
	}
}

// refuseForGood has the app answer 410 to some uploads: each of them is delivered once,
// whatever happens after, and they stay where people find them.
func refuseForGood(t *testing.T, app *App, s *Server) {
	const files = 20
	app.Be(func(Hook) Mood { return Refuses })
	s.Args = append(s.Args, "--hook-timeout", "10s") // who is slow to refuse is asked again
	restart(t, s)
	for n := range files {
		content := NewContent(uint64(n), 100)
		put(t, newClient(s, fmt.Sprintf("unwanted-%d", n), content), content.Chunks(100)[0], http.StatusCreated)
	}
	deadLettered := func() bool {
		lines := deliveries(t, s)
		for _, line := range lines {
			if !line.DeadLettered {
				return false
			}
		}
		return len(lines) == files
	}
	eventually(t, 30*time.Second, "all are dead-lettered", deadLettered)
	restart(t, s)
	for n := range files {
		ask(t, http.MethodHead, s.URL(fmt.Sprintf("unwanted-%d", n)), nil, nil, http.StatusOK)
	}
	time.Sleep(3 * time.Second) // time for sweeps, and for many tries
	for n := range files {
		if id := fmt.Sprintf("unwanted-%d.finished", n); app.Received()[id] != 1 {
			t.Errorf("%s was delivered %d times", id, app.Received()[id])
		}
	}
	if !deadLettered() {
		t.Error("they are not dead-lettered any more")
	}
	app.Be(func(Hook) Mood { return Takes })
	if out, err := holdfastDeliveries(s, "retry"); err != nil {
		t.Errorf("holdfast deliveries retry: %v\n%s", err, out)
	}
	if left := deliveries(t, s); len(left) != 0 {
		t.Errorf("pending after a retry: %v", left)
	}
	t.Logf("%d refused by 410: delivered once each, dead-lettered, delivered again by holdfast deliveries retry", files)
}

// deliveryLine is what holdfast deliveries prints of an upload.
type deliveryLine struct {
	ID           string
	DeadLettered bool
}

// deliveries is what holdfast deliveries prints.
func deliveries(t *testing.T, s *Server) []deliveryLine {
	t.Helper()
	out, err := holdfastDeliveries(s)
	if err != nil {
		t.Fatalf("holdfast deliveries: %v\n%s", err, out)
	}
	var lines []deliveryLine
	for scan := bufio.NewScanner(strings.NewReader(out)); scan.Scan(); {
		var line deliveryLine
		if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
			t.Fatalf("holdfast deliveries: %v: %s", err, scan.Text())
		}
		lines = append(lines, line)
	}
	return lines
}

func holdfastDeliveries(s *Server, args ...string) (string, error) {
	cmd := exec.Command(s.Bin, append([]string{"deliveries"}, args...)...)
	cmd.Env = append(cmd.Environ(), "HOLDFAST_ADMIN_LISTEN="+s.Admin())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// F5, F6: the server is killed at each step from the last byte to the note that the app
// has received. Once it is back, the app receives the file, under the same id.
func TestF06AKillAtAnyStepLosesNoEvent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]killing{
		"before the file is made":                {"pre-finish,post-finish", "pre-finish", false, 1},
		"while the app receives it":              {"post-finish", "post-finish", false, 2},
		"as soon as the app has received it":     {"post-finish", "post-finish", true, 2},
		"long after, when all of it is recorded": {"post-finish", "", true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

// The figures of hooks move, and are not there where no hooks are set.
func TestMetricsCountHooks(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	s, admin := startAdmin(t, "--hook-url", app.URL(), "--hook-secret", HookSecret, "--hook-timeout", "5s",
		"--hook-retry-initial", "1h", "--hook-retry-max-age", "2h", "--hook-events", "post-create,post-finish")
	for n, mood := range []Mood{Takes, Fails, Refuses, Hangs} {
		app.Be(func(Hook) Mood { return mood })
		content := NewContent(uint64(n), 10)
		put(t, newClient(s, fmt.Sprint("file-", n), content), content.Chunks(10)[0], http.StatusCreated)
		eventually(t, 30*time.Second, "the app is notified", func() bool { return app.Received()[fmt.Sprintf("file-%d.finished", n)] == 1 })
	}
	wantMoved(t, admin, []moved{
		{"holdfast_deliveries_delivered_total", nil, 1}, {"holdfast_delivery_failures_total", nil, 2}, {"holdfast_deliveries_dead_lettered_total", nil, 1},
		{"holdfast_deliveries_pending", nil, 2}, {"holdfast_hook_failures_total", nil, 1},
	})
	_, without := startAdmin(t)
	for name := range scrape(t, without) {
		if strings.HasPrefix(name, "holdfast_hooks") {
			t.Errorf("a server without hooks shows %s", name)
		}
	}
}

// killing says when the server is killed.
type killing struct {
	events, at string // in the course of the hook at, if any
	answered   bool   // after the answer to it
	most       int    // how often post-finish may be delivered
}

func (c killing) run(t *testing.T) {
	app := startApp(t)
	s := &Server{Bin: holdfast, Data: filepath.Join(t.TempDir(), "data"), Args: hookFlags(app, "--hook-events", c.events, "--hook-timeout", "5s")}
	run(t, s)
	killed := make(chan struct{})
	once := sync.OnceFunc(func() { s.Kill(); close(killed) })
	app.Be(func(h Hook) Mood {
		switch {
		case h.Type != c.at:
		case c.answered:
			time.AfterFunc(time.Millisecond, once)
		default:
			once()
		}
		return Takes
	})
	content := NewContent(6, 1000)
	client := newClient(s, "file", content)
	_, _ = client.Put(t.Context(), content.Chunks(1000)[0]) // it may be cut off
	if c.at == "" {
		eventually(t, 30*time.Second, "nothing is pending", func() bool { return len(deliveries(t, s)) == 0 })
		once()
	}
	<-killed
	app.Be(func(Hook) Mood { return Takes })
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "nothing is pending, and the file is there", func() bool {
		return len(deliveries(t, s)) == 0 && app.Took()["file.finished"] > 0
	})
	if deliveries := app.Received()["file.finished"]; deliveries > c.most {
		t.Errorf("delivered %d times, want %d at most", deliveries, c.most)
	}
	wantFile(t, s.URL("file"), content)
}
