package storage

import (
	"context"
	"errors"
	"sync"
)

var errPanicked = errors.New("it panicked")

// flights runs a function for one upload at a time, and lets requests that come at the
// same time share its result.
//
// A request shares only a run that begins after the request has come: one that comes
// while a run is under way waits for the next run. So no request gets a state older than
// itself, which could lack what was acknowledged to its client just before.
type flights struct {
	mu      sync.Mutex
	current map[string]*flight // by upload id: the one that runs, or is about to
}

type flight struct {
	begun bool
	done  chan struct{} // closed when up and err are there
	up    Upload
	err   error
	next  *flight // begins when this one is done, nil if no request waits for it
}

// do returns what run returns, or what the run of another request returned that began
// after this call did. Run is not canceled with ctx, for others may wait for its result.
// If ctx is done before a run of another request is, do returns ErrUnavailable.
func (g *flights) do(ctx context.Context, id string, run func(context.Context) (Upload, error)) (Upload, error) {
	f, previous, leads := g.join(id)
	if !leads {
		select {
		case <-f.done:
			return f.up.Clone(), f.err
		case <-ctx.Done():
			return Upload{}, Unavailable("wait for the state of", id, ctx.Err())
		}
	}
	if previous != nil {
		<-previous.done
	}
	g.begin(f)
	defer g.end(id, f)
	f.err = Unavailable("load", id, errPanicked) // unless run returns
	f.up, f.err = run(context.WithoutCancel(ctx))
	return f.up.Clone(), f.err
}

// join returns the first flight of an upload that has not begun, and whether the caller
// is to run it, once the previous one is done.
func (g *flights) join(id string) (f, previous *flight, leads bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current == nil {
		g.current = map[string]*flight{}
	}
	f = g.current[id]
	switch {
	case f == nil:
		f = &flight{done: make(chan struct{})}
		g.current[id] = f
		return f, nil, true
	case !f.begun:
		return f, nil, false
	case f.next == nil:
		f.next = &flight{done: make(chan struct{})}
		return f.next, f, true
	}
	return f.next, nil, false
}

func (g *flights) begin(f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f.begun = true
}

func (g *flights) end(id string, f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.next != nil {
		g.current[id] = f.next
	} else {
		delete(g.current, id)
	}
	close(f.done)
}
