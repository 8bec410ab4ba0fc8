package redis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// invalidTTL is how long an invalidated upload is not cached: longer than a request that
// loaded its state before may take to store it.
const invalidTTL = time.Minute

// generationTTL is how long the generation of an upload without state is kept: as long as a
// load may take.
const generationTTL = time.Minute

// Cache is a storage.Cache shared by all nodes. The state of an upload is one hash:
//
//	run        the run id of the Redis server, the epoch, and the format
//	begun      the generation, which Store must name
//	record     the storage.Record, in JSON; without it there is no state
//	size       the size in bytes, -1 if unknown
//	received   the ranges that were received, in ascending order
//	extents    the extents; before each its length and a colon
//	touched    when something was last added, in milliseconds since 1970
//	base       the number of the last change that received and extents include
//	seq        the number of the last change
//	N          change N: an extent that was appended
//
// A range is its start and its end, half-open, in 16 hexadecimal digits each. An extent is its
// range, kind, name and metadata, the latter three separated by NUL.
//
// A node keeps the state that it knows last, and gets only the changes since then. So the
// work of a call, and the length of its answer, do not grow with what is there.
//
// Updates that failed are compensated as soon as Redis is up again, before other calls: the
// uploads concerned are invalidated. For some seconds more the cache is not trusted, because
// other nodes may notice later that Redis is back. Nor is it while another node is cut off;
// see nodes. A call that fails because this node is cut off returns once the others have
// noticed.
type Cache struct {
	*Redis
	latest snapshots
}

var _ storage.Cache = (*Cache)(nil)

// NewCache returns a Cache.
func NewCache(r *Redis) *Cache { return &Cache{Redis: r, latest: newSnapshots()} }

var stateKeys = []string{"state", "over"}

// Get implements storage.Cache.
func (x *Cache) Get(ctx context.Context, id string) (storage.Upload, error) {
	s, err := x.get(ctx, id, nil)
	return s.up.Clone(), err
}

// get returns the cached state. If it fails, compensation is called later.
func (x *Cache) get(ctx context.Context, id string, compensation *call) (snapshot, error) {
	last := x.latest.get(id)
	return x.query(ctx, last, call{script: getScript, id: id, names: stateKeys[:1], args: []any{last.generation, last.seq}, compensation: compensation})
}

// Generation implements storage.Cache.
func (x *Cache) Generation(ctx context.Context, id string) (string, error) {
	reply, err := x.do(ctx, call{script: generationScript, id: id, names: stateKeys[:1], args: []any{rand.Text(), generationTTL.Milliseconds()}})
	generation, _ := reply.(string)
	return generation, err
}

// maxStoreAttempts is how often Store tries to replace state that changes meanwhile.
const maxStoreAttempts = 100

var errChanging = errors.New("the cached state keeps changing")

// Store implements storage.Cache. If this node does not trust the cache, it shows a client what it
// has loaded, which may be more than is cached. Other nodes must not show less after that, so
// the entry is removed.
func (x *Cache) Store(ctx context.Context, generation string, up storage.Upload) (storage.Upload, error) {
	known, err := x.merge(ctx, generation, up)
	if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrGone) {
		_, _ = x.run(ctx, *forgetCall(up.ID)) // on failure no node trusts the cache before this one has run deferred calls
	}
	return known, err
}

// merge stores an upload, merged with what is cached.
func (x *Cache) merge(ctx context.Context, generation string, up storage.Upload) (storage.Upload, error) {
	for range maxStoreAttempts {
		before, err := x.get(ctx, up.ID, forgetCall(up.ID))
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return storage.Upload{}, err
		}
		merged := up.Clone()
		if err == nil {
			merged.Merge(before.up)
		}
		if before.generation == generation && before.is(merged) {
			return merged, nil
		}
		stored, err := x.replace(ctx, generation, before, merged)
		if !errors.Is(err, errChanging) {
			return stored.up.Clone(), err
		}
	}
	return storage.Upload{}, storage.Unavailable("cache", up.ID, errChanging)
}

// replace stores up in place of a snapshot, which it includes. It returns errChanging if the
// state is not that of the snapshot any more.
func (x *Cache) replace(ctx context.Context, generation string, before snapshot, up storage.Upload) (snapshot, error) {
	record, err := json.Marshal(up.Record)
	if err != nil {
		return snapshot{}, err
	}
	expected := ""
	if before.generation != "" {
		expected = strconv.FormatInt(before.seq, 10)
	}
	received, extents := contentTexts(up)
	c := call{script: storeScript, id: up.ID, names: stateKeys, compensation: forgetCall(up.ID), args: []any{
		x.opts.StateTTL.Milliseconds(), up.ModifiedAt.UnixMilli(), record, up.Size, received, extents, generation, expected}}
	reply, err := x.do(ctx, c)
	if err == nil {
		err = storage.Unavailable("trust cached state of", c.id, x.checkTrusted(ctx))
	}
	if err != nil {
		return snapshot{}, err
	}
	switch seq, ok := reply.(int64); {
	case ok:
		up.ModifiedAt = time.UnixMilli(up.ModifiedAt.UnixMilli())
		s := snapshot{generation, seq, seq, up}
		x.latest.put(up.ID, s)
		return s, nil
	case reply == "over":
		return snapshot{}, storage.ErrGone
	case reply == "changed":
		return snapshot{}, errChanging
	}
	return snapshot{}, storage.ErrNotFound
}

// Append implements storage.Cache.
func (x *Cache) Append(ctx context.Context, id string, p storage.Extent) (storage.Upload, error) {
	last := x.latest.get(id)
	s, err := x.query(ctx, last, call{script: appendScript, id: id, names: stateKeys[:1], mustCompensate: true, compensation: forgetCall(id),
		args: []any{x.opts.StateTTL.Milliseconds(), time.Now().UnixMilli(), extentText(p), last.generation, last.seq}})
	if err == nil && s.needsCompaction() {
		_, _ = x.replace(ctx, s.generation, s, s.up) // on failure, a later call tries again
	}
	return s.up.Clone(), err
}

// Invalidate implements storage.Cache.
func (x *Cache) Invalidate(ctx context.Context, id string) error {
	c := call{script: invalidateScript, id: id, names: stateKeys, args: []any{invalidTTL.Milliseconds()}}
	c.compensation = forgetCall(id)
	_, err := x.do(ctx, c)
	return err
}

// do makes a call about a state of the current epoch, which becomes its last argument.
func (x *Cache) do(ctx context.Context, c call) (reply any, err error) {
	_ = x.refreshNodes(ctx) // on failure the call fails, too
	c.args = append(c.args, x.nodes.currentEpoch())
	if reply, err = x.run(ctx, c); err != nil {
		x.awaitIsolation(ctx)
	}
	return reply, err
}

// checkTrusted returns nil if everything that nodes have acknowledged is in Redis.
func (x *Cache) checkTrusted(ctx context.Context) error {
	if x.health.recovering() {
		return errRecovering
	}
	return x.checkNodes(ctx)
}

func forgetCall(id string) *call {
	return &call{script: forgetScript, id: id, names: stateKeys[:1]}
}

// query makes a call that returns what the caller lacks of an upload's state, of which last
// is known.
func (x *Cache) query(ctx context.Context, last snapshot, c call) (snapshot, error) {
	reply, err := x.do(ctx, c)
	if err == nil {
		err = storage.Unavailable("trust cached state of", c.id, x.checkTrusted(ctx))
	}
	if err != nil {
		return snapshot{}, err
	}
	fields, _ := reply.([]any)
	if len(fields) == 0 {
		return snapshot{}, storage.ErrNotFound
	}
	s, err := last.next(fields)
	if err != nil {
		return snapshot{}, storage.Unavailable("parse cached state of", c.id, err)
	}
	x.latest.put(c.id, s)
	return s, nil
}

var errRecovering = errors.New("just recovered from an outage")
