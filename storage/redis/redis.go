// Package redis lets several nodes share what one keeps in its memory: the locks
// of uploads, and an index of their state.
//
// Redis is a cache, a lock and a bell, and never the truth. If it forgets all it
// knows, the index is loaded from the store again; if it is not there, each node
// locks for itself and asks the store: slower, and nothing is lost.
//
// The keys of one upload share a hash tag, so that a Cluster has them on one node.
// Each expires.
//
//	PREFIX{id:ID}:lock     the token of the lock's holder
//	PREFIX{id:ID}:wanted   somebody waits for the lock
//	PREFIX{id:ID}:state    a hash: the record, and each piece that is stored
//	PREFIX{id:ID}:over     the upload is finished or deleted: no state is taken
//	PREFIX{id:ID}:probe    written to see whether Redis works again
//	PREFIX{id:}:nodes      the nodes, and until when their last reports count
//	PREFIX{id:}:version    changes with the list of nodes
//	PREFIX{id:}:epoch      changes when what Redis was told before does not count any more
//	PREFIXbell             a channel on which locks are asked for and given back
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

// Options say where Redis is and how it is used.
type Options struct {
	// URL is redis://, rediss:// or unix://; with addr= parameters it is that of a
	// Cluster, with master_name= that of Sentinels.
	URL string
	// Prefix begins every key. It has no braces: these say what a Cluster keeps
	// together.
	Prefix string
	// LockTTL is how long a lock outlives a holder that does not renew it; 15 s if 0.
	LockTTL time.Duration
	// StateTTL is how long the state of an upload is kept that nobody adds to; 24 h
	// if 0.
	StateTTL time.Duration
	Log      *slog.Logger
	// Observe, if set, is told of each operation, and what it returns is called with
	// what came of it.
	Observe func(ctx context.Context, operation string) (context.Context, func(error))

	// timeout bounds what a request to Redis may take, for it is to save time; 1 s
	// if 0.
	timeout time.Duration
	// beatEvery is how often a node reports to Redis; 0.5 s if 0.
	heartbeatInterval time.Duration
	// probeEvery is about how often a Redis that is down is tried; 1 s if 0. doubtFor is for
	// how long it is not believed when it is back; 3 s if 0.
	probeEvery, doubtFor time.Duration
}

// Redis is the connection that a Locker and an Index share.
type Redis struct {
	client redis.UniversalClient
	opts   Options
	health health
	nodes  nodes
}

// Connect returns a connection, whether or not Redis is there yet: it waits for about a
// second at most. It fails only if the URL or the prefix is wrong.
func Connect(opts Options) (*Redis, error) {
	if strings.ContainsAny(opts.Prefix, "{}") {
		return nil, fmt.Errorf("redis: a brace in the prefix %q", opts.Prefix)
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
	_ = r.report(r.health.closed) // before it serves anybody; a failure is noted
	r.health.bg.Go(r.heartbeat)
	return r, nil
}

// Client is the connection itself, for those who count something of their own.
func (r *Redis) Client() redis.UniversalClient { return r.client }

// Close ends the connection.
func (r *Redis) Close() error {
	r.health.close()
	r.leave()
	return r.client.Close()
}

// script is what Redis can be asked to do at once. Its name is for people.
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
	// instead is what to do once Redis answers again, if this could not be done.
	compensation *call
	// urgent is an instead that must be tried before the caller goes on.
	mustCompensate bool
}

// key names a key of an upload. The tag in braces is not empty whatever the id.
func (r *Redis) key(id, name string) string { return r.opts.Prefix + "{id:" + id + "}:" + name }

// run makes a call, unless Redis is known to be down, and returns its reply, nil if
// there is none. That the caller goes away does not end it, so that nothing is done
// of which nobody knows.
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
	return nil, storage.Unavailable("ask Redis about", c.id, err)
}

// insist makes a call though Redis is believed to be down, on a connection of its own:
// Redis may be back, and other nodes rely on it, before this one has noticed. If it is
// not there now, nobody can rely on what it was told before.
func (r *Redis) runOutOfBand(c call) {
	client, err := open(r.opts.URL, r.opts.timeout/10)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.opts.timeout/10)
	defer cancel()
	_, _ = r.execOn(ctx, client, c) // or else it is done when Redis is back
	_ = client.Close()
}

// exec makes a call, whatever is known of Redis.
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
