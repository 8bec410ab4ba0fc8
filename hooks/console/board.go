package console

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Board is where the processes that share a store leave what the others show of them. Calls
// may fail at any time.
type Board interface {
	// Watched reports whether a process has called Read within the last seconds.
	Watched(ctx context.Context) (bool, error)
	// Post leaves a text in place of the last one of this process. It vanishes after ten
	// seconds.
	Post(ctx context.Context, text string) error
	// Read returns the texts of the other processes, by ids of theirs; "" for a process that
	// is known but has left none.
	Read(ctx context.Context) (map[string]string, error)
}

const (
	// postInterval is the time between two posts of a process that is watched.
	postInterval = 2 * time.Second
	// maxPostAge is the age after which a post has vanished from the board.
	maxPostAge = 10 * time.Second
	// maxPosted is the maximum number of rows in each list of a post.
	maxPosted = 100
)

// post leaves what this process does on the board while another one shows it. A failure is
// shown as the health of Redis.
func (c *Console) post(ctx context.Context) {
	if c.opts.Board == nil {
		return
	}
	if watched, err := c.opts.Board.Watched(ctx); err != nil || !watched {
		return
	}
	n := c.node(ctx)
	n.Full = n.Full || len(n.Receiving) > maxPosted
	n.Receiving, n.Finished = n.Receiving[:min(len(n.Receiving), maxPosted)], n.Finished[:min(len(n.Finished), maxPosted)]
	if text, err := json.Marshal(n); err == nil {
		_ = c.opts.Board.Post(ctx, string(text))
	}
}

// others is what the other processes have left on the board.
type others struct {
	mu      sync.Mutex
	read    time.Time // when the board was last read
	nodes   []Node    // by name
	missing int       // processes that have left nothing
	err     error
}

// readBoard reads the board unless it was read lately, and returns what the other processes
// have left.
func (c *Console) readBoard(ctx context.Context) (nodes []Node, missing int, err error) {
	o := &c.others
	o.mu.Lock()
	defer o.mu.Unlock()
	if c.opts.Board == nil || time.Since(o.read) < postInterval {
		return o.nodes, o.missing, o.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout) // the result is for all pages
	defer cancel()
	texts, err := c.opts.Board.Read(ctx)
	o.read, o.nodes, o.missing, o.err = time.Now(), nil, 0, err
	for _, id := range slices.Sorted(maps.Keys(texts)) {
		var n Node
		if json.Unmarshal([]byte(texts[id]), &n) != nil || n.Name == "" {
			o.missing++
			continue
		}
		n.adjust(millis(o.read))
		o.nodes = append(o.nodes, n)
	}
	slices.SortFunc(o.nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return o.nodes, o.missing, o.err
}

// adjust has the times of a node follow the clock of this process, if they differ by more than
// the age that a post can have.
func (n *Node) adjust(now int64) {
	behind := now - n.At
	if behind >= -time.Second.Milliseconds() && behind <= maxPostAge.Milliseconds() {
		return
	}
	for _, at := range []*int64{&n.At, &n.Started, &n.Store.Checked, &n.Store.Failing, &n.Shared.Checked, &n.Shared.Failing} {
		if *at != 0 {
			*at += behind
		}
	}
	for _, rows := range [][]Row{n.Receiving, n.Finished} {
		for i := range rows {
			rows[i].Last += behind
		}
	}
}

// merge returns the uploads of all processes. One that several are receiving has one row.
func merge(nodes []Node) (receiving, finished []Row) {
	byID, done := map[string]Row{}, map[string]Row{}
	for _, n := range nodes {
		for _, row := range n.Finished {
			done[row.ID] = row
		}
	}
	for _, n := range nodes {
		for _, row := range n.Receiving {
			if known, ok := byID[row.ID]; ok {
				row = row.merged(known)
			}
			if end, ok := done[row.ID]; !ok || end.Created != row.Created {
				byID[row.ID] = row
			}
		}
	}
	receiving, finished = slices.Collect(maps.Values(byID)), slices.Collect(maps.Values(done))
	slices.SortFunc(receiving, newestFirst)
	slices.SortFunc(finished, func(a, b Row) int { return newestFirst(Row{ID: a.ID, Created: a.Last}, Row{ID: b.ID, Created: b.Last}) })
	return receiving[:min(len(receiving), maxRows)], finished[:min(len(finished), maxRows)]
}

// merged returns one row for what two processes know of an upload.
func (r Row) merged(o Row) Row {
	if o.Received > r.Received {
		r, o = o, r
	}
	if r.Size == o.Size {
		r.Map = union(r.Map, o.Map)
	}
	nodes := append(strings.Split(r.Node, ", "), strings.Split(o.Node, ", ")...)
	slices.Sort(nodes)
	r.Node = strings.Join(slices.Compact(nodes), ", ")
	r.Rate, r.Last = max(r.Rate, o.Rate), max(r.Last, o.Last)
	return r
}
