// Package console serves a web page on which operators watch a server: what is being received
// and what waits, deliveries, the health of the store and of Redis, and curves of the last
// minutes. With a Board it shows all processes that share a store.
//
// The page must not be reached by clients: see package hooks/admin for a Guard.
//
// All that is kept is bounded: maxRows uploads in each list, maxPoints points in each curve.
// Checks, listings and messages between processes are only made while a page watches.
package console

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// Options are what a Console shows.
type Options struct {
	// Node is the name of this process for people; host and process id if empty.
	Node string
	// Store is the name of the store for people.
	Store string
	// Uploads returns the core. It is called once the server runs.
	Uploads func() *storage.Uploads
	// CheckStore returns nil if the store takes uploads now.
	CheckStore func(ctx context.Context) error
	// CheckShared returns an error while the Redis that processes share does not work; nil if
	// there is none.
	CheckShared func(ctx context.Context) error
	// Memory returns how many bytes of the memory budget are in use, and how many may be.
	Memory func() (used, limit int64)
	// ShuttingDown reports whether the process is about to end.
	ShuttingDown func() bool
	// Board is shared by the processes that share a store; nil if there is only this one.
	Board Board
}

// Console observes a server and shows it. Create it with New, and pass Observer and Measure to
// the server.
type Console struct {
	opts     Options
	started  time.Time
	live     live
	counters counters
	history  history
	store    checks
	shared   checks
	listing  listing
	others   others
	hub      hub
}

// New returns a Console.
func New(opts Options) *Console {
	if opts.Node == "" {
		host, _ := os.Hostname() // without a name the process has its id
		opts.Node = fmt.Sprintf("%s/%d", cmp.Or(host, "process"), os.Getpid())
	}
	c := &Console{opts: opts, started: time.Now()}
	c.store.check, c.shared.check = opts.CheckStore, opts.CheckShared
	return c
}

// Observer returns the observer that records uploads, and measures the curves in its Run.
func (c *Console) Observer() storage.Observer {
	return storage.Observer{
		Event:    func(ctx context.Context, e storage.Event) { c.live.event(ctx, e, time.Now()) },
		Progress: func(ctx context.Context, up storage.Upload) { c.live.progress(ctx, up, time.Now()) },
		Run:      c.run,
	}
}

// run measures the curves, and posts what this process does while another one shows it.
func (c *Console) run(ctx context.Context) {
	measure, post := time.NewTicker(sampleInterval), time.NewTicker(postInterval)
	defer measure.Stop()
	defer post.Stop()
	c.history.measure(&c.counters, c.memory(), time.Now())
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-measure.C:
			c.history.measure(&c.counters, c.memory(), now)
		case <-post.C:
			c.post(ctx)
		}
	}
}

func (c *Console) memory() int64 {
	used, _ := c.opts.Memory()
	return used
}

// Node is what one process shows.
type Node struct {
	Name         string                `json:"name"`
	Started      int64                 `json:"started"`
	At           int64                 `json:"at"` // when this was written, by the clock of the process
	ShuttingDown bool                  `json:"shuttingDown,omitempty"`
	Store        Health                `json:"store"`
	Shared       Health                `json:"shared"`
	InFlight     int64                 `json:"inFlight"` // requests
	MemoryLimit  int64                 `json:"memoryLimit"`
	Deliveries   storage.DeliveryStats `json:"deliveries"`
	Curves       Curves                `json:"curves"`
	Receiving    []Row                 `json:"receiving"`
	Full         bool                  `json:"full,omitempty"` // more is being received than Receiving has
	Finished     []Row                 `json:"finished"`
}

// node returns what this process shows, and begins checks that are due.
func (c *Console) node(ctx context.Context) Node {
	now := time.Now()
	c.store.start(context.WithoutCancel(ctx), now)
	c.shared.start(context.WithoutCancel(ctx), now)
	receiving, finished, full := c.live.rows(now)
	_, limit := c.opts.Memory()
	n := Node{
		Name: c.opts.Node, Started: millis(c.started), At: millis(now), ShuttingDown: c.opts.ShuttingDown(),
		Store: c.store.last(), Shared: c.shared.last(), InFlight: c.counters.inFlight.Load(), MemoryLimit: limit,
		Deliveries: c.opts.Uploads().DeliveryStats(), Curves: c.history.snapshot(),
		Receiving: receiving, Full: full, Finished: finished,
	}
	for _, rows := range [][]Row{n.Receiving, n.Finished} {
		for i := range rows {
			rows[i].Node = n.Name
		}
	}
	return n
}
