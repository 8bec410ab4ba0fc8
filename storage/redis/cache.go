package redis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// invalidTTL is how long an invalidated upload is not cached: longer than a request that
// loaded its state before may take to store it.
const invalidTTL = time.Minute

// generationTTL is how long the generation of an upload without state is kept: as long as a
// load may take.
const generationTTL = time.Minute

// Cache is a storage.Cache shared by all nodes. The state of an upload is one hash:
//
//	run        the run id of the Redis server, and the epoch
//	begun      the generation, which Store must name
//	record     the storage.Record, in JSON; without it there is no state
//	size       the size in bytes, -1 if unknown
//	received   the ranges that were received, in ascending order
//	touched    when something was last added, in milliseconds since 1970
//	p:NAME     an extent: its range and its metadata
//
// A range is its start and its end, half-open, in 16 hexadecimal digits each.
//
// Updates that failed are compensated as soon as Redis is up again, before other calls: the
// uploads concerned are invalidated. For some seconds more the cache is not trusted, because
// other nodes may notice later that Redis is back. Nor is it while another node is cut off;
// see nodes. A call that fails because this node is cut off returns once the others have
// noticed.
type Cache struct{ *Redis }

var _ storage.Cache = (*Cache)(nil)

// NewCache returns a Cache.
func NewCache(r *Redis) *Cache { return &Cache{r} }

var stateKeys = []string{"state", "over"}

// Get implements storage.Cache.
func (x *Cache) Get(ctx context.Context, id string) (storage.Upload, error) {
	return x.query(ctx, call{script: getScript, id: id, names: stateKeys[:1]})
}

// Generation implements storage.Cache.
func (x *Cache) Generation(ctx context.Context, id string) (string, error) {
	reply, err := x.do(ctx, call{script: generationScript, id: id, names: stateKeys[:1], args: []any{rand.Text(), generationTTL.Milliseconds()}})
	generation, _ := reply.(string)
	return generation, err
}

// Store implements storage.Cache.
func (x *Cache) Store(ctx context.Context, generation string, up storage.Upload) (storage.Upload, error) {
	record, err := json.Marshal(up.Record)
	if err != nil {
		return storage.Upload{}, err
	}
	var received strings.Builder
	for _, r := range up.Received.Ranges() {
		received.WriteString(rangeText(r))
	}
	args := []any{x.opts.StateTTL.Milliseconds(), up.ModifiedAt.UnixMilli(), record, up.Size, received.String(), generation}
	for p := range up.Extents.All() {
		args = append(args, p.Name, rangeText(p.Range)+string(p.Kind)+" "+p.Meta)
	}
	return x.update(ctx, call{script: storeScript, id: up.ID, names: stateKeys, args: args})
}

// Append implements storage.Cache.
func (x *Cache) Append(ctx context.Context, id string, p storage.Extent) (storage.Upload, error) {
	return x.update(ctx, call{script: appendScript, id: id, names: stateKeys[:1], mustCompensate: true,
		args: []any{x.opts.StateTTL.Milliseconds(), time.Now().UnixMilli(), rangeText(p.Range), p.Name, string(p.Kind) + " " + p.Meta}})
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

// update makes a call that is compensated if it fails.
func (x *Cache) update(ctx context.Context, c call) (storage.Upload, error) {
	c.compensation = forgetCall(c.id)
	return x.query(ctx, c)
}

// query makes a call that returns the state of an upload.
func (x *Cache) query(ctx context.Context, c call) (storage.Upload, error) {
	reply, err := x.do(ctx, c)
	if err == nil {
		err = storage.Unavailable("trust cached state of", c.id, x.checkTrusted(ctx))
	}
	if err != nil {
		return storage.Upload{}, err
	}
	fields, _ := reply.([]any)
	switch {
	case reply == "over":
		return storage.Upload{}, storage.ErrGone
	case len(fields) == 0:
		return storage.Upload{}, storage.ErrNotFound
	}
	up, err := parseState(fields)
	return up, storage.Unavailable("parse cached state of", c.id, err)
}

// parseState parses the hash of an upload: fields alternating with values.
func parseState(fields []any) (up storage.Upload, err error) {
	var extents []storage.Extent
	var size int64
	for i := 0; i+1 < len(fields) && err == nil; i += 2 {
		name, _ := fields[i].(string)
		value, _ := fields[i+1].(string)
		switch name {
		case "run", "begun":
		case "record":
			err = json.Unmarshal([]byte(value), &up.Record)
		case "size":
			size, err = strconv.ParseInt(value, 10, 64)
		case "received":
			up.Received, err = parseSet(value)
		case "touched":
			var ms int64
			ms, err = strconv.ParseInt(value, 10, 64)
			up.ModifiedAt = time.UnixMilli(ms)
		default:
			p := storage.Extent{Name: strings.TrimPrefix(name, "p:")}
			var described, kind string
			p.Range, described, err = parseRange(value)
			kind, p.Meta, _ = strings.Cut(described, " ")
			p.Kind = storage.Kind(kind)
			extents = append(extents, p)
		}
	}
	up.Size, up.Extents = size, storage.NewExtents(extents...)
	return up, err
}

func parseSet(text string) (set ranges.Set, err error) {
	for text != "" && err == nil {
		var r ranges.Range
		r, text, err = parseRange(text)
		set.Add(r)
	}
	return set, err
}

var errRecovering = errors.New("just recovered from an outage")

func rangeText(r ranges.Range) string { return fmt.Sprintf("%016x%016x", r.Start, r.End) }

var errRange = errors.New("not a range")

// parseRange parses a range, and returns the rest of the text.
func parseRange(text string) (r ranges.Range, rest string, err error) {
	if len(text) < 32 {
		return r, "", errRange
	}
	var err1, err2 error
	r.Start, err1 = strconv.ParseInt(text[:16], 16, 64)
	r.End, err2 = strconv.ParseInt(text[16:32], 16, 64)
	if err1 != nil || err2 != nil || !r.Valid() {
		return ranges.Range{}, "", errRange
	}
	return r, text[32:], nil
}
