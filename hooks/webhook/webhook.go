// Package webhook sends the events of uploads to the app, and asks it to approve them, by
// HTTP and in the JSON of tusd's hooks, so that a backend written for tusd works unchanged.
//
// post-finish, the event of a finished upload, is delivered at least once, with the same
// webhook-id each time, even if the app or a node fails: a pending delivery is kept in the
// store and retried, at times that all nodes agree on, until the app acknowledges it,
// rejects it with 410, or Options.RetryMaxAge is over. Then it is dead-lettered: kept,
// listed, and delivered on request of an operator.
//
// post-create, post-receive and post-terminate are best-effort: they are retried a few
// times, and never delay a request. pre-create and pre-finish are blocking: if the app does
// not respond, the upload is not created or finished, and the client is asked to retry.
//
// With Options.Secrets requests are signed according to Standard Webhooks
// (www.standardwebhooks.com).
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

// Events are all hooks, by tusd's names.
var Events = []string{
	string(tusd.HookPreCreate), string(tusd.HookPostCreate), string(tusd.HookPostReceive),
	string(tusd.HookPreFinish), string(tusd.HookPostFinish), string(tusd.HookPostTerminate),
}

// Options configure New.
type Options struct {
	// URL receives all hooks, except those of the events in URLs, which have their own.
	URL  string
	URLs map[string]string
	// Events are the hooks to send, a subset of the variable Events.
	Events []string
	// Secrets sign each request, all of them: "whsec_" and base64, or base64 alone.
	Secrets []string
	// Forward names the headers of the client's request that are sent with the hook. The
	// hook's body holds Authorization, Cookie, Proxy-Authorization, the headers in Secret
	// and the query parameter "ticket" only if Forward names them.
	Forward []string
	// Secret names further headers with credentials.
	Secret []string
	// Timeout is how long the app may take to respond; 0 is 10 s.
	Timeout time.Duration
	// RetryInitial is the approximate time of the first retry of post-finish, and
	// RetryMaxAge how long it is retried; see storage.DeliveryOptions.
	RetryInitial, RetryMaxAge time.Duration
	// ProgressInterval is the least time between two post-receive hooks of an upload.
	ProgressInterval time.Duration
	// TLS holds the client certificate and the trusted authorities; nil is the system's.
	TLS *tls.Config

	// Storage returns where the file of an upload is or will be, in tusd's format.
	Storage func(storage.Upload) map[string]string
	// OnStop stops an upload, as the app requests in its response to post-receive: the
	// requests that send it get the response of the rejection.
	OnStop func(ctx context.Context, id string, rejection error) error
	Log    *slog.Logger

	transport http.RoundTripper // replaces the network in tests
}

func (o *Options) setDefaults() {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

// Webhooks sends hooks to the app. Create it with New, and pass its Policy, Observer and
// Delivery to the core.
type Webhooks struct {
	opts             Options
	client           *client
	notifications    chan notification
	notificationSize *semaphore.Weighted // bytes in the queue, of maxNotificationBytes
	receive          throttle            // of post-receive
	counts           counts
	warned           throttle // of the warning about dropped hooks
}

// New returns a Webhooks. It fails if a secret is invalid.
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

// url returns the URL that an event is sent to, "" if it is not sent.
func (a *Webhooks) url(event tusd.HookType) string {
	if !slices.Contains(a.opts.Events, string(event)) {
		return ""
	}
	if url := a.opts.URLs[string(event)]; url != "" {
		return url
	}
	return a.opts.URL
}

// Policy returns the policy that calls the blocking hooks: pre-create and pre-finish.
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

// Observer returns the observer that sends the best-effort hooks: post-create, post-receive
// and post-terminate.
func (a *Webhooks) Observer() storage.Observer {
	o := storage.Observer{Event: a.notify, Run: a.run}
	if a.url(tusd.HookPostReceive) != "" {
		o.Progress = a.progress
	}
	return o
}

// Delivery returns the options with which the outbox delivers post-finish, the zero value
// if that is not among the events.
func (a *Webhooks) Delivery() storage.DeliveryOptions {
	if a.url(tusd.HookPostFinish) == "" {
		return storage.DeliveryOptions{}
	}
	return storage.DeliveryOptions{Deliverer: a, RetryInitial: a.opts.RetryInitial, RetryMaxAge: a.opts.RetryMaxAge, Grace: a.opts.Timeout}
}

// run sends best-effort hooks until ctx is done and the queue is empty, at most for
// Options.Timeout after ctx is done.
func (a *Webhooks) run(ctx context.Context) {
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
