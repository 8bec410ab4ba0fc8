package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// refreshEvery is the time between two states that a page gets.
	refreshEvery = time.Second
	// maxWatchers is the maximum number of pages at once.
	maxWatchers = 20
	// sendTimeout is how long a page may take a state.
	sendTimeout = 30 * time.Second
)

// State is what a page shows.
type State struct {
	Now       int64   `json:"now"`
	Node      string  `json:"node"` // whose address the page is at
	Store     string  `json:"store"`
	Nodes     []Node  `json:"nodes"`             // without their rows
	Missing   int     `json:"missing,omitempty"` // processes that share the store and show nothing
	Error     string  `json:"error,omitempty"`   // why other processes are not shown
	Receiving []Row   `json:"receiving"`
	Full      bool    `json:"full,omitempty"`
	Finished  []Row   `json:"finished"`
	Listing   Listing `json:"listing"`
}

// state returns what pages show now, and begins what is due for the next ones.
func (c *Console) state(ctx context.Context) State {
	c.listIfDue(ctx)
	others, missing, err := c.readBoard(ctx)
	nodes := append([]Node{c.node(ctx)}, others...)
	s := State{Now: millis(time.Now()), Node: c.opts.Node, Store: c.opts.Store, Nodes: nodes, Missing: missing, Listing: c.listing.snapshot()}
	if err != nil {
		s.Error = shorten(err.Error())
	}
	s.Receiving, s.Finished = merge(nodes)
	for i := range nodes {
		s.Full = s.Full || nodes[i].Full
		nodes[i].Receiving, nodes[i].Finished = nil, nil
	}
	return s
}

// hub passes states on to the pages that watch. The zero value is ready to use.
type hub struct {
	mu       sync.Mutex
	watchers map[chan []byte]bool
	stop     context.CancelFunc // of the work for the watchers
}

// watch returns a channel of states, each a message of server-sent events, nil if there are
// too many watchers. A watcher that is slow misses states.
func (c *Console) watch() (states chan []byte, leave func()) {
	h := &c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.watchers) >= maxWatchers {
		return nil, nil
	}
	if h.watchers == nil {
		h.watchers = map[chan []byte]bool{}
	}
	states = make(chan []byte, 1)
	h.watchers[states] = true
	if h.stop != nil {
		h.stop() // and begin with a state for the new watcher
	}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	go c.broadcast(ctx)
	return states, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if delete(h.watchers, states); len(h.watchers) == 0 {
			h.stop()
		}
	}
}

// broadcast sends a state to all watchers, now and whenever it is due.
func (c *Console) broadcast(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		if text, err := json.Marshal(c.state(ctx)); err == nil {
			c.send(message(text))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Console) send(state []byte) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	for watcher := range c.hub.watchers {
		select {
		case watcher <- state:
		default: // it has not taken the last one yet
		}
	}
}

// message frames JSON, which has no line feeds, as a message of server-sent events (HTML
// Living Standard, section 9.2).
func message(text []byte) []byte {
	return append(append([]byte("data: "), bytes.TrimSpace(text)...), "\n\n"...)
}

// serveEvents sends states until the page is closed.
func (c *Console) serveEvents(w http.ResponseWriter, r *http.Request) {
	states, leave := c.watch()
	if states == nil {
		http.Error(w, fmt.Sprintf("%d pages watch already: close one", maxWatchers), http.StatusServiceUnavailable)
		return
	}
	defer leave()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // or nginx collects states
	h.Set("X-Content-Type-Options", "nosniff")
	ctl := http.NewResponseController(w)
	for state := []byte("retry: 2000\n\n"); ; {
		_ = ctl.SetWriteDeadline(time.Now().Add(sendTimeout)) // not every writer can
		if _, err := w.Write(state); err != nil || ctl.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case state = <-states:
		}
	}
}
