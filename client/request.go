package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// maxResponse is the largest response that is read, other than that of a file: the state of
// an upload with as many ranges as there may be.
const maxResponse = 4 << 20

// errIdle means that a request made no progress for Options.IdleTimeout.
var errIdle = errors.New("the connection stopped moving")

// request is a request with a body that can be sent again.
type request struct {
	method string
	url    *url.URL
	header http.Header
	body   io.ReaderAt // nil for none
	size   int64       // of the body
	sent   *atomic.Int64
}

// response is a response that was read completely.
type response struct {
	status int
	header http.Header
	body   []byte
}

// host sends requests to the host of one URL. Secrets are sent to that host alone, even if
// the URL of an upload is at another one.
type host struct {
	client *Client
	name   string // host:port of the URL that the caller gave
}

// send makes a request and reads its response. An error is a StatusError unless the status
// is 2xx, or that of the connection.
func (h host) send(ctx context.Context, r request) (response, error) {
	watch := newWatchdog(ctx, h.client.opts.IdleTimeout)
	defer watch.stop()
	resp, err := h.start(watch, r)
	if err != nil {
		return response{}, watch.explain(err)
	}
	defer resp.Body.Close()
	watch.touch()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return response{}, newStatusError(resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return response{}, watch.explain(fmt.Errorf("%s %s: read the response: %w", r.method, r.url.Redacted(), err))
	}
	return response{resp.StatusCode, resp.Header, body}, nil
}

// start makes a request and returns its response, whose body is not yet read.
func (h host) start(watch *watchdog, r request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(watch.ctx, r.method, r.url.String(), nil)
	if err != nil {
		return nil, err
	}
	if r.header != nil {
		req.Header = r.header.Clone()
	}
	if r.body != nil && r.size > 0 {
		req.ContentLength = r.size
		req.GetBody = func() (io.ReadCloser, error) { return h.newBody(watch, r), nil }
		req.Body = h.newBody(watch, r)
	}
	req.Header.Set("User-Agent", userAgent)
	if err := h.authorize(req); err != nil {
		return nil, err
	}
	return h.client.http.Do(req)
}

// authorize adds the headers of the caller to a request to its host.
func (h host) authorize(req *http.Request) error {
	if req.URL.Host != h.name {
		return nil
	}
	for name, values := range h.client.opts.Header {
		req.Header[name] = values
	}
	if h.client.opts.Token == nil {
		return nil
	}
	token, err := h.client.opts.Token(req.Context())
	if err != nil {
		return &fatalError{fmt.Errorf("token: %w", err)}
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return nil
}

// fatalError is an error after which repeating the request is of no use.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// body reads the body of a request at the rate limit, and counts it.
type body struct {
	io.Reader
	host  host
	watch *watchdog
	sent  *atomic.Int64
}

func (h host) newBody(watch *watchdog, r request) io.ReadCloser {
	if r.sent != nil {
		r.sent.Store(0)
	}
	return &body{io.NewSectionReader(r.body, 0, r.size), h, watch, r.sent}
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.watch.touch()
	limiter := b.host.client.limiter
	if limiter != nil {
		p = p[:min(len(p), limiter.Burst())]
	}
	n, err := b.Reader.Read(p)
	if limiter != nil && n > 0 {
		if err := limiter.WaitN(b.watch.ctx, n); err != nil {
			return 0, err
		}
		b.watch.touch()
	}
	if b.sent != nil {
		b.sent.Add(int64(n))
	}
	return n, err
}

// Close implements io.Closer.
func (*body) Close() error { return nil }

// watchdog cancels a request that makes no progress.
type watchdog struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
}

func newWatchdog(ctx context.Context, idle time.Duration) *watchdog {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{ctx: ctx, cancel: cancel, idle: idle}
	w.timer = time.AfterFunc(idle, func() { cancel(errIdle) })
	return w
}

// touch says that the request has made progress.
func (w *watchdog) touch() { w.timer.Reset(w.idle) }

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// explain returns errIdle in place of an error that the watchdog has caused.
func (w *watchdog) explain(err error) error {
	if context.Cause(w.ctx) == errIdle {
		return fmt.Errorf("%w for %v", errIdle, w.idle)
	}
	return err
}

// bytesAt is a body in memory.
func bytesAt(b []byte) io.ReaderAt { return bytes.NewReader(b) }
