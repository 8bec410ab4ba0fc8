package speakers

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// watchFor is how long a state may take until it has what was sent.
const watchFor = 30 * time.Second

// gate is a body that stops in the middle until it is opened.
type gate struct {
	src    io.Reader
	n      int // bytes before the stop
	opened chan struct{}
}

func (g *gate) Read(p []byte) (int, error) {
	if g.n == 0 {
		<-g.opened
		return g.src.Read(p)
	}
	n, err := g.src.Read(p[:min(len(p), g.n)])
	g.n -= n
	return n, err
}

// RunWatched has a protocol send an upload, and others watch it while a body is on its way:
// these get an answer, and what was received of the body if their protocol says that. No
// watcher disturbs the sender, but one whose protocol wants that.
func (u *Upload) RunWatched(sends Speaker) error {
	if err := u.begin(sends); err != nil {
		return fmt.Errorf("begin by %s: %w", sends.Name(), err)
	}
	var polite, rude []Speaker
	for _, w := range u.Watchers {
		if Natures[w.Name()].EndsOthers {
			rude = append(rude, w)
		} else {
			polite = append(polite, w)
		}
	}
	err := u.besides(sends, polite, u.chunk(u.have.Prefix(), secondEnd))
	if err == nil {
		// The others first: of a request that is ended before its body is read, nothing is kept.
		err = u.besides(sends, slices.Concat(polite, rude), u.chunk(secondEnd, 800))
	}
	if err == nil {
		err = u.finish(sends)
	}
	if err == nil {
		err = u.watch()
	}
	if err == nil {
		err = u.download()
	}
	return err
}

// besides has a chunk sent that stops in the middle while others watch, and then goes on.
func (u *Upload) besides(sends Speaker, watchers []Speaker, c Chunk) error {
	half := len(c.Body) / 2
	stop := &gate{n: half, opened: make(chan struct{})}
	sender := *u.Client
	sender.Body = func(src io.Reader) io.Reader { stop.src = src; return stop }
	sent := make(chan error, 1)
	go func() {
		_, err := sends.Append(&sender, u.ID, c)
		sent <- err
	}()
	var failed error
	ended := false
	for _, w := range watchers {
		if err := u.watchUntil(w, c.Offset, c.Offset+int64(half)); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s beside %s: %w", w.Name(), sends.Name(), err))
		}
		ended = ended || Natures[w.Name()].EndsOthers && Natures[sends.Name()].Locks
	}
	close(stop.opened)
	err := <-sent
	switch {
	case failed != nil:
		return failed
	case ended && err == nil:
		return fmt.Errorf("the chunk of %s was not ended", sends.Name())
	case ended:
		c.Body = c.Body[:half]
	case err != nil:
		return fmt.Errorf("%s was disturbed: %w", sends.Name(), err)
	}
	c.Sized = c.Sized || Natures[sends.Name()].AlwaysSized
	u.stored(c)
	return u.watch()
}

// watchUntil asks for the state until it has what was sent, if the protocol says that. The
// offset never is anywhere else.
func (u *Upload) watchUntil(w Speaker, before, sent int64) error {
	for deadline := time.Now().Add(watchFor); ; time.Sleep(20 * time.Millisecond) {
		state, err := w.Status(u.Client, u.ID)
		switch {
		case err != nil:
			return err
		case state.Offset < before || state.Offset > sent || state.Complete:
			return fmt.Errorf("the state is %+v", state)
		case state.Offset == sent || !Natures[w.Name()].Flushes:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("the state is still %+v", state)
		}
	}
}
