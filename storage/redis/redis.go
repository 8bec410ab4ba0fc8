// Package redis lets several nodes share what one keeps in its memory: the locks
// of uploads, and an index of their state.
//
// Redis is a cache, a lock and a bell, and never the truth. If it forgets all it
// knows, the index is loaded from the store again; if it is not there, each node
// locks for itself and asks the store: slower, and nothing is lost.
//
// The keys of one upload share a hash tag, so that a Cluster has them on one node:
//
//	PREFIX{ID}:lock     the token of the lock's holder; expires if not renewed
//	PREFIX{ID}:wanted   somebody waits for the lock
//	PREFIX{ID}:state    a hash: the record, and each piece that is stored
//	PREFIX{ID}:over     the upload is finished or deleted: no state is taken
//	PREFIXbell          a channel on which locks are asked for and given back
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/storage"
)

// Options say where Redis is and how it is used.
type Options struct {
	// URL is redis://, rediss:// or unix://; with addr= parameters it is that of a
	// Cluster, with master_name= that of Sentinels.
	URL string
	// Prefix begins every key.
	Prefix string
	// LockTTL is how long a lock outlives a holder that does not renew it; 15 s if 0.
	LockTTL time.Duration
	// StateTTL is how long the state of an upload is kept that nobody adds to; 24 h
	// if 0.
	StateTTL time.Duration
	Log      *slog.Logger
}

// Redis is the connection that a Locker and an Index share.
type Redis struct {
	client redis.UniversalClient
	opts   Options
	down   atomic.Bool
}

// timeout bounds what a request to Redis may take: it is to save time.
const timeout = time.Second

// Connect returns a connection, whether or not Redis is there yet. It fails only
// if the URL is wrong.
func Connect(opts Options) (*Redis, error) {
	client, err := open(opts.URL)
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
	return &Redis{client: client, opts: opts}, nil
}

// Close ends the connection.
func (r *Redis) Close() error { return r.client.Close() }

// Check returns nil if Redis answers.
func (r *Redis) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return r.met(r.client.Ping(ctx).Err())
}

// met notes how a request to Redis went, and returns its error. That there is no
// such key is no failure of Redis, nor is a caller who went away.
func (r *Redis) met(err error) error {
	failed := err != nil && !errors.Is(err, redis.Nil) && !errors.Is(err, context.Canceled)
	if failed && !r.down.Swap(true) {
		r.opts.Log.Warn("Redis does not answer: going on without it, with local locks and the state of the store", "error", err)
	}
	if !failed && r.down.Swap(false) {
		r.opts.Log.Info("Redis answers again")
	}
	return err
}

func (r *Redis) key(id, name string) string { return r.opts.Prefix + "{" + id + "}:" + name }

// run runs a script on the keys of one upload.
func (r *Redis) run(ctx context.Context, script *redis.Script, id string, names []string, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = r.key(id, name)
	}
	v, err := script.Run(ctx, r.client, keys, args...).Result()
	if r.met(err) != nil && !errors.Is(err, redis.Nil) {
		return nil, storage.Unavailable("ask Redis about", id, err)
	}
	return v, err
}
