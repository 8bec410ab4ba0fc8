// Package webhook tells the app what becomes of uploads, and asks it what may become
// of them: by HTTP, in the JSON of tusd's hooks, so that a backend made for tusd works
// as it is.
//
// Of a finished upload (post-finish) the app hears at least once, under the same
// webhook-id each time, however often it, or a node, is down: what has still to be
// told stands in the store, and is tried at instants that all nodes know, until the
// app takes it, or says that it never will, or Options.RetryFor is over. Then it is
// parked: kept, visible, and told when somebody asks for it.
//
// Other events (post-create, post-receive, post-terminate) are told if that succeeds
// soon, and never make anybody wait. An app that is to be asked (pre-create,
// pre-finish) and does not answer has not agreed: the client is told to come back.
//
// Every request is signed as Standard Webhooks (www.standardwebhooks.com) has it.
package webhook

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/storage"
)

// Events are the hooks that there are, by tusd's names.
var Events = []string{
	string(tusd.HookPreCreate), string(tusd.HookPostCreate), string(tusd.HookPostReceive),
	string(tusd.HookPreFinish), string(tusd.HookPostFinish), string(tusd.HookPostTerminate),
}

// Options tell where the app is and what it is told.
type Options struct {
	// URL is where hooks are sent; URLs, by event, are where some are sent instead.
	URL  string
	URLs map[string]string
	// Events are the hooks that are sent, of those in Events.
	Events []string
	// Secrets sign each request, all of them: "whsec_" and base64, or base64 alone.
	Secrets []string
	// Forward names the headers of clients that are headers of the hook's request too.
	// Authorization, Cookie, Proxy-Authorization, those in Secret, and a query parameter
	// "ticket", which it can name as well, are told of only if they are among them.
	Forward []string
	// Secret names further headers that let their bearer do something.
	Secret []string
	// Timeout is how long the app may take to answer.
	Timeout time.Duration
	// RetryAfter is when post-finish is tried for the second time, about; see schedule.
	// RetryFor is for how long.
	RetryAfter, RetryFor time.Duration
	// ReceiveEvery is how much time there is at least between two post-receive of an upload.
	ReceiveEvery time.Duration
	// TLS holds the certificate to show, and whom to believe; nil is the system's way.
	TLS *tls.Config

	// Storage tells where the file of an upload is or will be, as tusd does.
	Storage func(storage.Upload) map[string]string
	// Stop removes an upload, because the app has said so to a post-receive.
	Stop func(ctx context.Context, id string) error
	Log  *slog.Logger

	transport http.RoundTripper // instead of the network
}

// App is the app behind its hooks. Create it with New, Join it to the core's options,
// and have it Run.
type App struct {
	opts     Options
	client   *client
	outbox   *outbox
	notes    chan note
	noteSize budget
	receive  throttle
	counts   counts
	warned   throttle // of news that are dropped

	core  Core
	ready chan struct{} // closed once there is a core
	begin sync.Once
}

// Core is what delivery needs of *storage.Uploads, where it is described.
type Core interface {
	Owed(ctx context.Context, id string) (storage.Upload, bool, error)
	Told(ctx context.Context, up storage.Upload) error
	Park(ctx context.Context, up storage.Upload) error
	LockTelling(ctx context.Context, id string) (unlock func(), err error)
}

var _ Core = (*storage.Uploads)(nil)

// New returns the app that lives at the URLs in opts. An error is about a secret.
func New(opts Options) (*App, error) {
	client, err := newClient(opts)
	if err != nil {
		return nil, err
	}
	return &App{
		opts: opts, client: client,
		outbox:   newOutbox(schedule{opts.RetryAfter, opts.RetryFor}),
		notes:    make(chan note, maxNotes),
		noteSize: budget{left: maxNoteBytes},
		receive:  throttle{every: opts.ReceiveEvery},
		warned:   throttle{every: 10 * time.Second},
		ready:    make(chan struct{}),
	}, nil
}

// url is where an event is sent, "" if it is not.
func (a *App) url(event tusd.HookType) string {
	if !slices.Contains(a.opts.Events, string(event)) {
		return ""
	}
	if url := a.opts.URLs[string(event)]; url != "" {
		return url
	}
	return a.opts.URL
}

// Join has the core ask and tell the app what it wants to be asked and told. Whoever
// is asked or told already comes first.
func (a *App) Join(o *storage.Options) {
	if a.url(tusd.HookPreCreate) != "" {
		o.Admit = both(o.Admit, a.admit)
	}
	if a.url(tusd.HookPreFinish) != "" {
		o.Accept = both(o.Accept, a.accept)
	}
	if a.url(tusd.HookPostReceive) != "" {
		o.Progress = each(o.Progress, a.progress)
	}
	if a.url(tusd.HookPostFinish) != "" {
		o.Deliver = a.deliver
	}
	o.Notify = each(o.Notify, a.notify)
}

func each[T any](first, second func(context.Context, T)) func(context.Context, T) {
	if first == nil {
		return second
	}
	return func(ctx context.Context, v T) {
		first(ctx, v)
		second(ctx, v)
	}
}

func both[T any](first, second func(context.Context, T) error) func(context.Context, T) error {
	if first == nil {
		return second
	}
	return func(ctx context.Context, v T) error {
		if err := first(ctx, v); err != nil {
			return err
		}
		return second(ctx, v)
	}
}

// Run tells the app what there is to tell until ctx is done; what is being told then
// gets Options.Timeout to end.
func (a *App) Run(ctx context.Context, core Core) {
	a.begin.Do(func() { a.core = core; close(a.ready) })
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(a.opts.Timeout, cancel) })
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { a.runOutbox(ctx, work) })
	for range noteWorkers {
		running.Go(func() { a.runNotes(ctx, work) })
	}
	running.Wait()
}
