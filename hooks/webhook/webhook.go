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
	"golang.org/x/sync/semaphore"

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
	RetryInitial, RetryMaxAge time.Duration
	// ReceiveEvery is how much time there is at least between two post-receive of an upload.
	ProgressInterval time.Duration
	// TLS holds the certificate to show, and whom to believe; nil is the system's way.
	TLS *tls.Config

	// Storage tells where the file of an upload is or will be, as tusd does.
	Storage func(storage.Upload) map[string]string
	// Stop removes an upload, because the app has said so to a post-receive.
	OnStop func(ctx context.Context, id string) error
	Log    *slog.Logger

	transport http.RoundTripper // instead of the network
}

func (o *Options) setDefaults() {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

// App is the app behind its hooks. Create it with New, give its Policy, Observer and
// Delivery to the core, and call Run.
type Webhooks struct {
	opts             Options
	client           *client
	notifications    chan notification
	notificationSize *semaphore.Weighted // bytes of maxNoteBytes that wait
	receive          throttle
	counts           counts
	warned           throttle // of dropped hooks
}

// New returns the app that lives at the URLs in opts. An error is about a secret.
func New(opts Options) (*Webhooks, error) {
	opts.setDefaults()
	client, err := newClient(opts)
	if err != nil {
		return nil, err
	}
	return &Webhooks{
		opts: opts, client: client,
		notifications:    make(chan notification, maxNotifications),
		notificationSize: semaphore.NewWeighted(maxNotificationBytes),
		receive:          throttle{every: opts.ProgressInterval},
		warned:           throttle{every: 10 * time.Second},
	}, nil
}

// url returns where an event is sent, "" if it is not.
func (a *Webhooks) url(event tusd.HookType) string {
	if !slices.Contains(a.opts.Events, string(event)) {
		return ""
	}
	if url := a.opts.URLs[string(event)]; url != "" {
		return url
	}
	return a.opts.URL
}

// Policy has the core call the blocking hooks: pre-create and pre-finish.
func (a *Webhooks) Policy() storage.Policy {
	var p storage.Policy
	if a.url(tusd.HookPreCreate) != "" {
		p.BeforeCreate = a.beforeCreate
	}
	if a.url(tusd.HookPreFinish) != "" {
		p.BeforeFinish = a.beforeFinish
	}
	return p
}

// Observer sends the best-effort hooks: post-create, post-receive and post-terminate.
func (a *Webhooks) Observer() storage.Observer {
	o := storage.Observer{Event: a.notify}
	if a.url(tusd.HookPostReceive) != "" {
		o.Progress = a.progress
	}
	return o
}

// Delivery has the outbox deliver post-finish; it is the zero value if that is not
// among the events.
func (a *Webhooks) Delivery() storage.DeliveryOptions {
	if a.url(tusd.HookPostFinish) == "" {
		return storage.DeliveryOptions{}
	}
	return storage.DeliveryOptions{Deliverer: a, RetryInitial: a.opts.RetryInitial, RetryMaxAge: a.opts.RetryMaxAge, Grace: a.opts.Timeout}
}

// Run sends best-effort hooks until ctx is done and none waits; what is being sent then
// gets Options.Timeout to end.
func (a *Webhooks) Run(ctx context.Context) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(a.opts.Timeout, cancel) })
	defer stop()
	var running sync.WaitGroup
	for range notificationWorkers {
		running.Go(func() { a.runNotifications(ctx, work) })
	}
	running.Wait()
}
