// Package redis shares locks and cached upload state between several nodes.
//
// Redis is a cache, a lock and a message channel, but never the source of truth. If it loses
// its data, state is loaded from the store again. If it is down, each node locks locally and
// reads from the store: that is slower, but nothing is lost.
//
// The keys of one upload share a hash tag, so a Cluster keeps them on one node. All expire.
//
//	PREFIX{id:ID}:lock     the token of the lock's holder
//	PREFIX{id:ID}:wanted   another request waits for the lock
//	PREFIX{id:ID}:state    a hash: the record, and each stored extent
//	PREFIX{id:ID}:over     the upload is finished or deleted: no state is cached
//	PREFIX{id:ID}:probe    written to check whether Redis works
//	PREFIX{id:}:nodes      the nodes, and when their last reports expire
//	PREFIX{id:}:version    changes with the list of nodes
//	PREFIX{id:}:epoch      changes when all cached state is invalidated
//	PREFIX{id:}:watched, :board:NODE  see Board
//	PREFIXlocks            the pub/sub channel
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/storage"
)

// Options configure the connection and its use.
type Options struct {
	// URL is redis://, rediss:// or unix://. With addr= parameters it is a Cluster, with
	// master_name= Sentinels.
	URL string
	// Prefix begins every key. It must not contain braces, which delimit a Cluster's hash
	// tag.
	Prefix string
	// LockTTL is how long a lock outlives a holder that does not renew it; 15 s if 0.
	LockTTL time.Duration
	// StateTTL is how long the state of an idle upload is cached; 24 h if 0.
	StateTTL time.Duration
	Log      *slog.Logger
	// Observe, if set, is called at the start of each operation, and the function that it
	// returns with the result.
	Observe func(ctx context.Context, operation string) (context.Context, func(error))

	// timeout limits each request to Redis; 1 s if 0.
	timeout time.Duration
	// heartbeatInterval is the time between reports of a node; 0.5 s if 0.
	heartbeatInterval time.Duration
	// probeInterval is the approximate time between probes while Redis is down; 1 s if 0.
	// recovery is for how long the cache is not trusted after it is back; 3 s if 0.
	probeInterval, recovery time.Duration
}

// Redis is the connection that a Locker and a Cache share.
type Redis struct {
	client redis.UniversalClient
	opts   Options
	health health
	nodes  nodes
}

// Connect returns a connection, even if Redis is down, after about a second at most. It
// fails only if the URL or the prefix is invalid.
func Connect(opts Options) (*Redis, error) {
	if strings.ContainsAny(opts.Prefix, "{}") {
		return nil, fmt.Errorf("redis: prefix %q contains a brace", opts.Prefix)
	}
	if opts.timeout == 0 {
		opts.timeout = time.Second
	}
	if opts.heartbeatInterval == 0 {
		opts.heartbeatInterval = time.Second / 2
	}
	client, err := open(opts.URL, opts.timeout)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if opts.LockTTL == 0 {
		opts.LockTTL = 15 * time.Second
	}
	if opts.StateTTL == 0 {
		opts.StateTTL = 24 * time.Hour
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.Observe == nil {
		opts.Observe = func(ctx context.Context, _ string) (context.Context, func(error)) { return ctx, func(error) {} }
	}
	r := &Redis{client: client, opts: opts}
	r.health.init(opts)
	r.nodes.init(opts.heartbeatInterval)
	_ = r.report(r.health.closed) // before the node serves requests; run records failures
	r.health.bg.Go(r.heartbeat)
	return r, nil
}

// Client returns the underlying client, for other uses of the same Redis.
func (r *Redis) Client() redis.UniversalClient { return r.client }

// Close stops background work and closes the connection.
func (r *Redis) Close() error {
	r.health.close()
	r.leave()
	return r.client.Close()
}

// script is a Lua script. Its name is for metrics and traces.
type script struct {
	*redis.Script
	name string
}

func newScript(name, src string) *script { return &script{redis.NewScript(src), name} }

// call is a script to run on the keys of one upload.
type call struct {
	script *script
	id     string
	names  []string // of the keys
	args   []any
	// compensation is deferred until Redis recovers if the call fails.
	compensation *call
	// mustCompensate says that the compensation must be tried before run returns.
	mustCompensate bool
}

// key returns the name of a key of an upload. The hash tag is not empty for any id.
func (r *Redis) key(id, name string) string { return r.opts.Prefix + "{id:" + id + "}:" + name }

// run makes a call, unless Redis is down, and returns its reply, nil if there is none. The
// call is not cancelled with ctx, so its effect is always recorded.
func (r *Redis) run(ctx context.Context, c call) (any, error) {
	err := r.health.enter(c)
	if err == nil {
		var reply any
		if reply, err = r.exec(context.WithoutCancel(ctx), c); err == nil {
			return reply, nil
		}
		r.failed(c, err)
	} else if c.mustCompensate {
		r.runOutOfBand(*c.compensation)
	}
	return nil, storage.Unavailable("call Redis for", c.id, err)
}

// runOutOfBand makes a call on a connection of its own although Redis counts as down: it may
// be back, and other nodes rely on it, before this one has noticed. If it fails, other nodes
// cannot reach Redis either, and the deferred call will do.
func (r *Redis) runOutOfBand(c call) {
	client, err := open(r.opts.URL, r.opts.timeout/10)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.opts.timeout/10)
	defer cancel()
	_, _ = r.execOn(ctx, client, c) // on failure it is run when Redis recovers
	_ = client.Close()
}

// exec makes a call even if Redis counts as down.
func (r *Redis) exec(ctx context.Context, c call) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.timeout)
	defer cancel()
	return r.execOn(ctx, r.client, c)
}

func (r *Redis) execOn(ctx context.Context, client redis.UniversalClient, c call) (any, error) {
	ctx, end := r.opts.Observe(ctx, c.script.name)
	keys := make([]string, len(c.names))
	for i, name := range c.names {
		keys[i] = r.key(c.id, name)
	}
	reply, err := c.script.Run(ctx, client, keys, c.args...).Result()
	if errors.Is(err, redis.Nil) {
		reply, err = nil, nil
	}
	end(err)
	return reply, err
}
