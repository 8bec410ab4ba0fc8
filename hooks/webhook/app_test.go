package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
	"github.com/holdfast-upload/holdfast/test/logs"
)

// fakeApp replaces the network and the app behind it, and records the requests.
type fakeApp struct {
	// answer returns the response to the n-th request, from 0.
	answer func(n int, r received) (status int, header http.Header, body string, err error)

	mu      sync.Mutex
	all     []received
	at, top int // concurrent requests: now and at most
}

// received is a request that reached the app.
type received struct {
	id   string // the webhook-id
	when time.Time
	hook tusd.HookRequest
	http *http.Request
	body []byte
}

func (a *fakeApp) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	h := received{id: r.Header.Get("webhook-id"), when: time.Now(), http: r, body: body}
	if err := json.Unmarshal(body, &h.hook); err != nil {
		return nil, err
	}
	a.mu.Lock()
	n := len(a.all)
	a.all = append(a.all, h)
	a.at++
	a.top = max(a.top, a.at)
	answer := a.answer
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.at--
		a.mu.Unlock()
	}()
	status, header, text, err := answer(n, h)
	if err != nil {
		return nil, err
	}
	if header == nil {
		header = http.Header{"Content-Type": {"application/json"}}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text))}, nil
}

// ids returns the number of requests by webhook-id.
func (a *fakeApp) ids() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := map[string]int{}
	for _, h := range a.all {
		ids[h.id]++
	}
	return ids
}

func (a *fakeApp) received() []received {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all)
}

// maxConcurrent returns the largest number of concurrent requests.
func (a *fakeApp) maxConcurrent() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.top
}

// change replaces answer.
func (a *fakeApp) change(answer func(int, received) (int, http.Header, string, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

func always(status int) func(int, received) (int, http.Header, string, error) {
	return func(int, received) (int, http.Header, string, error) { return status, nil, "{}", nil }
}

// hang does not respond until the client has timed out.
func hang(_ int, r received) (int, http.Header, string, error) {
	<-r.http.Context().Done()
	return 0, nil, "", r.http.Context().Err()
}

var errReset = errors.New("connection reset by peer")

func reset(int, received) (int, http.Header, string, error) { return 0, nil, "", errReset }

// node is a process with a store, and the app that it sends hooks to.
type node struct {
	t       *testing.T
	app     *Webhooks
	uploads *storage.Uploads
	stop    context.CancelFunc
	ended   chan struct{}
	log     *logs.Buffer
}

// options returns the options of an app that receives these events.
func options(to http.RoundTripper, events ...tusd.HookType) Options {
	o := Options{
		URL: "http://app.example/hooks", Secret: []string{"x-api-key"}, Timeout: 10 * time.Second,
		RetryInitial: 5 * time.Second, RetryMaxAge: 24 * time.Hour, ProgressInterval: time.Second,
		transport: to,
	}
	for _, e := range events {
		o.Events = append(o.Events, string(e))
	}
	return o
}

// startNode runs a process until the test ends or calls end.
func startNode(t *testing.T, opts Options, store storage.Store, locker storage.Locker) *node {
	t.Helper()
	n := &node{t: t, ended: make(chan struct{}), log: &logs.Buffer{}}
	opts.Log = slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	opts.OnStop = func(ctx context.Context, id string, cause error) error { return n.uploads.Stop(ctx, id, cause) }
	var err error
	if n.app, err = New(opts); err != nil {
		t.Fatal(err)
	}
	core := storage.Options{Log: opts.Log, Policy: n.app.Policy(), Observer: n.app.Observer(), Delivery: n.app.Delivery()}
	n.uploads = storage.New(store, locker, &storage.MemoryCache{}, core)
	var ctx context.Context
	ctx, n.stop = context.WithCancel(context.Background())
	go func() {
		defer close(n.ended)
		var running sync.WaitGroup
		running.Go(func() { n.app.run(ctx) })
		running.Go(func() { n.uploads.RunDeliveries(ctx) })
		running.Wait()
	}()
	t.Cleanup(n.end)
	return n
}

func (n *node) end() {
	n.stop()
	<-n.ended
}

// upload creates and fills a small upload.
func (n *node) upload(id string) storage.Upload {
	n.t.Helper()
	up, err := n.tryUpload(n.t.Context(), storage.Record{ID: id, Size: 5})
	if err != nil {
		n.t.Fatalf("upload %s: %v", id, err)
	}
	return up
}

func (n *node) tryUpload(ctx context.Context, rec storage.Record) (storage.Upload, error) {
	up, err := n.uploads.Create(ctx, rec)
	if err != nil {
		return up, err
	}
	return n.uploads.Write(ctx, up.ID, storage.Chunk{Body: strings.NewReader("bytes")})
}

// pendingDeliveries returns the ids of the uploads with a pending delivery in the store, and
// whether it is dead-lettered.
func pendingDeliveries(t *testing.T, store storage.Store) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	u := storage.New(store, &storage.MemoryLocker{}, &storage.MemoryCache{}, storage.Options{})
	for up, err := range u.PendingDeliveries(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out[up.ID] = up.DeadLettered
	}
	return out
}

func wantPending(t *testing.T, store storage.Store, want map[string]bool) {
	t.Helper()
	if got := pendingDeliveries(t, store); !maps.Equal(got, want) {
		t.Errorf("pending deliveries, true if dead-lettered: %v, want %v", got, want)
	}
}

func wantRequests(t *testing.T, app *fakeApp, want map[string]int) {
	t.Helper()
	if got := app.ids(); !maps.Equal(got, want) {
		t.Errorf("the app received %v, want %v", got, want)
	}
}

func newMemory() *storagetest.Memory { return storagetest.NewMemory(1 << 20) }
