package storage

import (
	"context"
	"errors"
	"sync"
)

var errPanicked = errors.New("panic in another request")

// flights runs a function once at a time per upload, and shares its result between
// concurrent requests.
//
// A request shares only a run that begins after the request has arrived: one that arrives
// during a run waits for the next. So no request gets a state older than itself, which
// could lack what was acknowledged to its client just before.
type flights struct {
	mu      sync.Mutex
	current map[string]*flight // by upload id: the one that is running or about to run
}

type flight struct {
	started bool
	done    chan struct{} // closed when up and err are set
	up      Upload
	err     error
	next    *flight // starts when this one is done, nil if no request waits for it
}

// do returns the result of run, or of another request's run that started after this
// call. run is not canceled with ctx, because other requests may wait for its result.
// If ctx is done while waiting for another request's run, do returns ErrUnavailable.
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
	g.start(f)
	defer g.end(id, f)
	f.err = Unavailable("load", id, errPanicked) // unless run returns
	f.up, f.err = run(context.WithoutCancel(ctx))
	return f.up.Clone(), f.err
}

// join returns the first flight of an upload that has not started, and whether the
// caller must run it, once the previous one is done.
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
	case !f.started:
		return f, nil, false
	case f.next == nil:
		f.next = &flight{done: make(chan struct{})}
		return f.next, f, true
	}
	return f.next, nil, false
}

func (g *flights) start(f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f.started = true
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
