package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// overFor is how long the state of an upload that is over is refused: longer than
// a request that loaded it before can take to say so.
const overFor = time.Minute

// Index is a storage.Index for all nodes. The state of an upload is one hash:
//
//	record    what storage.Record says, with the size as declared, in JSON
//	touched   when something was last added, in milliseconds since 1970
//	p:NAME    a piece: "START END TAG", half-open
type Index struct{ *Redis }

var _ storage.Index = (*Index)(nil)

// NewIndex returns an Index.
func NewIndex(r *Redis) *Index { return &Index{r} }

var stateKeys = []string{"state", "over"}

// putScript adds what was loaded to what is known, and returns all of it.
var putScript = redis.NewScript(`
	if redis.call("EXISTS", KEYS[2]) == 1 then
		return redis.error_reply("OVER")
	end
	local before = tonumber(redis.call("HGET", KEYS[1], "touched") or "0")
	if before > tonumber(ARGV[3]) then
		ARGV[3] = tostring(before)
	end
	redis.call("HSET", KEYS[1], "record", ARGV[2], "touched", ARGV[3])
	for i = 4, #ARGV, 2 do
		redis.call("HSET", KEYS[1], ARGV[i], ARGV[i + 1])
	end
	redis.call("PEXPIRE", KEYS[1], ARGV[1])
	return redis.call("HGETALL", KEYS[1])`)

// addScript adds a piece to an upload that is known, takes those away that it
// covers, and returns all that is known then.
var addScript = redis.NewScript(`
	if redis.call("HEXISTS", KEYS[1], "record") == 0 then
		return false
	end
	local first, last = tonumber(ARGV[5]), tonumber(ARGV[6])
	if last > first then
		local all = redis.call("HGETALL", KEYS[1])
		for i = 1, #all, 2 do
			local s, e = string.match(all[i + 1], "^(%d+) (%d+) ")
			if string.sub(all[i], 1, 2) == "p:" and s and tonumber(e) > tonumber(s)
					and tonumber(s) >= first and tonumber(e) <= last then
				redis.call("HDEL", KEYS[1], all[i])
			end
		end
	end
	redis.call("HSET", KEYS[1], ARGV[2], ARGV[3], "touched", ARGV[4])
	redis.call("PEXPIRE", KEYS[1], ARGV[1])
	return redis.call("HGETALL", KEYS[1])`)

var getScript = redis.NewScript(`return redis.call("HGETALL", KEYS[1])`)

var dropScript = redis.NewScript(`
	redis.call("DEL", KEYS[1])
	redis.call("SET", KEYS[2], "1", "PX", ARGV[1])
	return 1`)

// Get implements storage.Index.
func (x *Index) Get(ctx context.Context, id string) (storage.Upload, error) {
	return x.state(id)(x.run(ctx, getScript, id, stateKeys[:1]))
}

// Put implements storage.Index.
func (x *Index) Put(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	record, err := json.Marshal(up.Record)
	if err != nil {
		return storage.Upload{}, err
	}
	args := []any{x.opts.StateTTL.Milliseconds(), record, up.Touched.UnixMilli()}
	for _, p := range up.Pieces {
		args = append(args, "p:"+p.Name, pieceText(p))
	}
	return x.state(up.ID)(x.run(ctx, putScript, up.ID, stateKeys, args...))
}

// Add implements storage.Index.
func (x *Index) Add(ctx context.Context, id string, p storage.Piece) (storage.Upload, error) {
	return x.state(id)(x.run(ctx, addScript, id, stateKeys[:1],
		x.opts.StateTTL.Milliseconds(), "p:"+p.Name, pieceText(p), time.Now().UnixMilli(), p.Start, p.End))
}

// Drop implements storage.Index.
func (x *Index) Drop(ctx context.Context, id string) error {
	_, err := x.run(ctx, dropScript, id, stateKeys, overFor.Milliseconds())
	return err
}

func pieceText(p storage.Piece) string { return fmt.Sprintf("%d %d %s", p.Start, p.End, p.Tag) }

// state reads the reply of a script that returns the hash of an upload.
func (x *Index) state(id string) func(any, error) (storage.Upload, error) {
	return func(reply any, err error) (storage.Upload, error) {
		if err == redis.Nil {
			return storage.Upload{}, storage.ErrNotFound
		}
		if err != nil {
			return storage.Upload{}, err
		}
		fields, _ := reply.([]any)
		if len(fields) == 0 {
			return storage.Upload{}, storage.ErrNotFound
		}
		up, err := parseState(fields)
		return up, storage.Unavailable("read the state of", id, err)
	}
}

func parseState(fields []any) (up storage.Upload, err error) {
	known := false
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		value, _ := fields[i+1].(string)
		switch piece, isPiece := strings.CutPrefix(name, "p:"); {
		case isPiece:
			p, err := parsePiece(piece, value)
			if err != nil {
				return up, err
			}
			up.Add(p)
		case name == "record":
			known = true
			err = json.Unmarshal([]byte(value), &up.Record)
		case name == "touched":
			var ms int64
			ms, err = strconv.ParseInt(value, 10, 64)
			up.Touched = time.UnixMilli(ms)
		}
		if err != nil {
			return up, err
		}
	}
	if !known {
		return up, storage.ErrNotFound
	}
	return up, nil
}

func parsePiece(name, text string) (storage.Piece, error) {
	first, rest, _ := strings.Cut(text, " ")
	last, tag, _ := strings.Cut(rest, " ")
	start, err1 := strconv.ParseInt(first, 10, 64)
	end, err2 := strconv.ParseInt(last, 10, 64)
	p := storage.Piece{Range: ranges.Range{Start: start, End: end}, Name: name, Tag: tag}
	if err1 != nil || err2 != nil || !p.Valid() {
		return p, fmt.Errorf("the piece %q is %q", name, text)
	}
	return p, nil
}
