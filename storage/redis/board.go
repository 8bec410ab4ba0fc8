package redis

import (
	"context"
	"slices"
	"time"
)

// Board holds a short text of each node, which the others can read while they show it. Its
// keys are
//
//	PREFIX{id:}:watched     present while a node reads
//	PREFIX{id:}:board:NODE  the text of a node
//
// Each expires within seconds.
type Board struct{ r *Redis }

// NewBoard returns the board of the nodes that share Redis under one prefix.
func NewBoard(r *Redis) *Board { return &Board{r} }

const (
	// watchedTTL is how long after a Read the board counts as watched, and postTTL how long a
	// text stays.
	watchedTTL = 10 * time.Second
	postTTL    = 10 * time.Second
)

var (
	watchedScript = newScript("board_watched", `return redis.call("EXISTS", KEYS[1])`)
	postScript    = newScript("board_post", `return redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])`)
	readScript    = newScript("board_read", `
		redis.call("SET", KEYS[1], "1", "PX", ARGV[1])
		if #KEYS == 1 then return {} end
		return redis.call("MGET", unpack(KEYS, 2))`)
)

// Watched reports whether a node has called Read within the last seconds.
func (b *Board) Watched(ctx context.Context) (bool, error) {
	reply, err := b.r.run(ctx, call{script: watchedScript, names: []string{"watched"}})
	return reply == int64(1), err
}

// Post leaves a text in place of the last one of this node.
func (b *Board) Post(ctx context.Context, text string) error {
	_, err := b.r.run(ctx, call{script: postScript, names: []string{"board:" + b.r.nodes.id}, args: []any{text, postTTL.Milliseconds()}})
	return err
}

// Read returns the texts of the other nodes by their ids, "" for one that has left none.
func (b *Board) Read(ctx context.Context) (map[string]string, error) {
	ids := b.r.nodes.known()
	names := []string{"watched"}
	for _, id := range ids {
		names = append(names, "board:"+id)
	}
	reply, err := b.r.run(ctx, call{script: readScript, names: names, args: []any{watchedTTL.Milliseconds()}})
	if err != nil {
		return nil, b.r.why(err)
	}
	found := map[string]string{}
	texts, _ := reply.([]any)
	for i, id := range ids {
		found[id] = ""
		if i < len(texts) {
			found[id], _ = texts[i].(string) // nil if there is none
		}
	}
	return found, nil
}

// known returns the ids of the other nodes.
func (n *nodes) known() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.others)
}
