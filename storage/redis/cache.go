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

// overFor is how long the state of an upload that is over is refused: longer than
// a request that loaded it before can take to say so.
const overFor = time.Minute

// beginTTL is for how long the name of a state that nothing is known of is kept: as
// long as a request that begins to load it may take to.
const beginTTL = time.Minute

// Index is a storage.Index for all nodes. The state of an upload is one hash:
//
//	run        the run of Redis to which it was said
//	begun      the name of this hash, under which it is asked to take what was loaded
//	record     what storage.Record says, in JSON; until it is there nothing is known
//	size       the size, -1 if unknown
//	received   the ranges that were received, in ascending order
//	touched    when something was last added, in milliseconds since 1970
//	p:NAME     a piece: its range and its tag
//
// A range is its start and its end, half-open, in 16 hexadecimal digits each.
//
// What Redis could not be told is made up for when it answers again, before it is
// asked anything else: it forgets the uploads of which it missed something. For some
// seconds more nothing that it says is believed, for other nodes may find later that it
// is back. Nor is it while another node is cut off from it; see nodes. A call that fails
// because this node is cut off returns once the others have noticed that.
type Cache struct{ *Redis }

var _ storage.Cache = (*Cache)(nil)

// NewIndex returns an Index.
func NewCache(r *Redis) *Cache { return &Cache{r} }

var stateKeys = []string{"state", "over"}

// Get implements storage.Index.
func (x *Cache) Get(ctx context.Context, id string) (storage.Upload, error) {
	return x.query(ctx, call{script: getScript, id: id, names: stateKeys[:1]})
}

// Begin implements storage.Index.
func (x *Cache) Generation(ctx context.Context, id string) (string, error) {
	reply, err := x.do(ctx, call{script: beginScript, id: id, names: stateKeys[:1], args: []any{rand.Text(), beginTTL.Milliseconds()}})
	begun, _ := reply.(string)
	return begun, err
}

// Put implements storage.Index.
func (x *Cache) Store(ctx context.Context, begun string, up storage.Upload) (storage.Upload, error) {
	record, err := json.Marshal(up.Record)
	if err != nil {
		return storage.Upload{}, err
	}
	var received strings.Builder
	for _, r := range up.Received.Ranges() {
		received.WriteString(rangeText(r))
	}
	args := []any{x.opts.StateTTL.Milliseconds(), up.ModifiedAt.UnixMilli(), record, up.Size, received.String(), begun}
	for _, p := range up.Extents {
		args = append(args, p.Name, rangeText(p.Range)+p.Meta)
	}
	return x.update(ctx, call{script: putScript, id: up.ID, names: stateKeys, args: args})
}

// Add implements storage.Index.
func (x *Cache) Append(ctx context.Context, id string, p storage.Extent) (storage.Upload, error) {
	return x.update(ctx, call{script: addScript, id: id, names: stateKeys[:1], mustCompensate: true,
		args: []any{x.opts.StateTTL.Milliseconds(), time.Now().UnixMilli(), rangeText(p.Range), p.Name, p.Meta}})
}

// Drop implements storage.Index.
func (x *Cache) Invalidate(ctx context.Context, id string) error {
	drop := call{script: dropScript, id: id, names: stateKeys, args: []any{overFor.Milliseconds()}}
	drop.compensation = forgetCall(id)
	_, err := x.do(ctx, drop)
	return err
}

// do makes a call about a state of the current epoch, which is the last of its arguments.
func (x *Cache) do(ctx context.Context, c call) (reply any, err error) {
	_ = x.lookUp(ctx) // if that fails, so does the call
	c.args = append(c.args, x.nodes.currentEpoch())
	if reply, err = x.run(ctx, c); err != nil {
		x.goAlone(ctx)
	}
	return reply, err
}

// believable returns nil if all that nodes have acknowledged is in Redis.
func (x *Cache) believable(ctx context.Context) error {
	if x.health.recovering() {
		return errRecovering
	}
	return x.noneMissing(ctx)
}

func forgetCall(id string) *call {
	return &call{script: forgetScript, id: id, names: stateKeys[:1]}
}

// tell makes a call that must not be missed.
func (x *Cache) update(ctx context.Context, c call) (storage.Upload, error) {
	c.compensation = forgetCall(c.id)
	return x.query(ctx, c)
}

// ask makes a call that returns the state of an upload.
func (x *Cache) query(ctx context.Context, c call) (storage.Upload, error) {
	reply, err := x.do(ctx, c)
	if err == nil {
		err = storage.Unavailable("believe Redis about", c.id, x.believable(ctx))
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
	return up, storage.Unavailable("read the state of", c.id, err)
}

// parseState reads the hash of an upload, field after value.
func parseState(fields []any) (up storage.Upload, err error) {
	up.Extents = map[string]storage.Extent{}
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
			p.Range, p.Meta, err = parseRange(value)
			up.Extents[p.Name] = p
		}
	}
	up.Size = size
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

var errRecovering = errors.New("it was down a moment ago")

func rangeText(r ranges.Range) string { return fmt.Sprintf("%016x%016x", r.Start, r.End) }

var errRange = errors.New("not a range")

// parseRange reads a range, and returns what comes after it.
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
