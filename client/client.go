package client

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Protocol is a way to upload.
type Protocol string

// The protocols.
const (
	// Auto has the server say by OPTIONS which protocols it takes.
	Auto Protocol = ""
	// ContentRange sends chunks at once and in any order, by PUT with Content-Range.
	ContentRange Protocol = "content-range"
	// Tus sends chunks in order, by PATCH, as tus 1.0 has it.
	Tus Protocol = "tus"
)

// Options configure a Client. The zero value is ready to use.
type Options struct {
	// HTTP makes the requests; nil is a client of this package's own. One that is given
	// should have no timeout for whole requests, and speak HTTP/1.1: over HTTP/2 all chunks
	// share one connection, and its losses.
	HTTP *http.Client
	// Header is sent with each request to the host of the URL that was given.
	Header http.Header
	// Token, if set, returns the bearer token for a request. It is called for each one, so
	// that tokens may expire during an upload. An empty token is not sent.
	Token func(ctx context.Context) (string, error)
	// Protocol is the one to speak; Auto asks the server.
	Protocol Protocol

	// GiveUpAfter is how long an upload goes on without any progress, 15 minutes if 0; a
	// negative one goes on until its context is done.
	GiveUpAfter time.Duration
	// IdleTimeout is how long a request may go without sending or receiving a byte, 60 s
	// if 0.
	IdleTimeout time.Duration

	// RateLimit is the number of bytes per second that are sent, of all uploads together;
	// 0 is no limit.
	RateLimit int64
	// MaxParallel is the largest number of chunks that are sent at once, 16 if 0.
	MaxParallel int
	// MinChunk and MaxChunk bound the length of chunks in bytes: 128 KiB and 16 MiB if 0.
	MinChunk, MaxChunk int64

	// URLs remembers the URLs of unfinished uploads; nil remembers nothing.
	URLs URLStore
}

// Client uploads files. Its methods may be called by several goroutines at once. Create it
// with New.
type Client struct {
	opts    Options
	http    *http.Client
	limiter *rate.Limiter // nil without a limit
	line    *line         // for chunks in any order
	inOrder pace          // the initial one of each upload in order

	mu      sync.Mutex
	servers map[string]server // by URL
}

// New returns a Client.
func New(opts Options) *Client {
	opts.GiveUpAfter = cmp.Or(opts.GiveUpAfter, 15*time.Minute)
	opts.IdleTimeout = cmp.Or(opts.IdleTimeout, time.Minute)
	opts.MaxParallel = cmp.Or(opts.MaxParallel, 16)
	opts.MinChunk = cmp.Or(opts.MinChunk, 128<<10)
	opts.MaxChunk = max(opts.MinChunk, cmp.Or(opts.MaxChunk, 16<<20))
	c := &Client{opts: opts, servers: map[string]server{}}
	c.line = newLine(newPace(opts.MinChunk, opts.MaxChunk, opts.MaxParallel))
	c.inOrder = newPace(opts.MinChunk, 16*opts.MaxChunk, 1)
	if opts.RateLimit > 0 {
		c.limiter = rate.NewLimiter(rate.Limit(opts.RateLimit), int(min(max(opts.RateLimit/20, 1<<10), 1<<20)))
	}
	base := http.Client{Transport: transport(opts)}
	if opts.HTTP != nil {
		base = *opts.HTTP
	}
	base.CheckRedirect = followReads(base.CheckRedirect)
	c.http = &base
	return c
}

// transport returns a transport for many requests at once to one server.
func transport(opts Options) *http.Transport {
	dialer := net.Dialer{Timeout: min(opts.IdleTimeout, 30*time.Second), KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4,
	}}
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: min(opts.IdleTimeout, 30*time.Second),
		MaxIdleConnsPerHost: opts.MaxParallel + 2,
		IdleConnTimeout:     30 * time.Second,
		WriteBufferSize:     64 << 10,
		Protocols:           new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// followReads has redirects of GET and HEAD alone followed: the body of a chunk must not be
// sent to another server.
func followReads(before func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(r *http.Request, via []*http.Request) error {
		switch {
		case via[0].Method != http.MethodGet && via[0].Method != http.MethodHead:
			return http.ErrUseLastResponse
		case before != nil:
			return before(r, via)
		case len(via) >= 10:
			return http.ErrUseLastResponse
		}
		return nil
	}
}

var userAgent = "holdfast-client/1 (" + runtime.GOOS + "; " + strings.TrimPrefix(runtime.Version(), "go") + ")"
