package redis

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// maxDue is how many calls are kept for when Redis answers again.
const maxDeferred = 100_000

// health knows whether Redis answers. Once a call has failed no other is tried,
// until a probe in the background has had an answer.
type health struct {
	every    time.Duration // about how often a Redis that is down is tried
	recovery time.Duration // for how long what Redis says is not believed after it was found to be back

	stop   context.CancelFunc
	closed context.Context
	bg     sync.WaitGroup

	mu       sync.Mutex
	cause    error           // why Redis counts as down, nil if it does not
	back     time.Time       // when it was last found to be back
	deferred map[string]call // what to do first when it is back, by key
	lost     bool            // something was due that could not be kept
}

func (h *health) init(opts Options) {
	h.closed, h.stop = context.WithCancel(context.Background())
	h.deferred = map[string]call{}
	h.every, h.recovery = cmp.Or(opts.probeEvery, time.Second), cmp.Or(opts.doubtFor, doubtFor)
}

func (h *health) close() {
	h.mu.Lock()
	h.stop()
	h.mu.Unlock()
	h.bg.Wait()
}

// down is why Redis counts as down, nil if it does not.
func (h *health) down() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cause
}

// doubtFor is long enough for all nodes to have found that Redis is back, and to have
// made up for what they could not tell it.
const doubtFor = 3 * time.Second

// doubtful tells whether what Redis says may lack what other nodes have stored.
func (h *health) recovering() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.back.IsZero() && time.Since(h.back) < h.recovery
}

// enter returns nil if a call may be made now.
func (h *health) enter(c call) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cause != nil {
		h.keep(c)
	}
	return h.cause
}

func (h *health) keep(c call) {
	in := c.compensation
	switch {
	case in == nil:
	case len(h.deferred) < maxDeferred:
		h.deferred[fmt.Sprint(in.names[0], " ", in.id, in.args)] = *in
	default:
		h.lost = true
	}
}

// wantsNewEpoch reports whether Redis has missed more than could be kept, so that all it
// knows has to be forgotten.
func (h *health) wantsNewEpoch() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost
}

// epochRenewed notes that the epoch is a new one, if it is.
func (h *health) epochRenewed(renewed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = h.lost && !renewed
}

// failed notes that a call has.
func (r *Redis) failed(c call, err error) {
	h := &r.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed.Err() != nil {
		return
	}
	h.keep(c)
	if h.cause != nil {
		return
	}
	h.cause = err
	r.opts.Log.Warn("Redis does not answer: going on without it, with local locks and the state of the store", "error", err)
	h.bg.Go(func() { r.probe(c.id) })
}

// probe waits until Redis works where it failed, does what is due, and then lets
// calls through again.
func (r *Redis) probe(id string) {
	h := &r.health
	for {
		select {
		case <-h.closed.Done():
			return
		case <-time.After(h.every/2 + rand.N(h.every)):
		}
		if r.recovered(id) {
			return
		}
	}
}

func (r *Redis) recovered(id string) bool {
	h := &r.health
	_, err := r.exec(h.closed, probeCall(id))
	for err == nil {
		h.mu.Lock()
		due := h.deferred
		h.deferred = map[string]call{}
		if len(due) == 0 {
			h.cause, h.back = nil, time.Now()
			r.opts.Log.Info("Redis answers again") // before anybody can find it down once more
			h.mu.Unlock()
			return true
		}
		h.mu.Unlock()
		err = r.runDeferred(due)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cause = err
	return false
}

// doDue does what is due, and keeps what it could not do.
func (r *Redis) runDeferred(due map[string]call) (err error) {
	for key, c := range due {
		if err == nil {
			_, err = r.exec(r.health.closed, c)
		}
		if err != nil {
			r.health.mu.Lock()
			r.health.deferred[key] = c
			r.health.mu.Unlock()
		}
	}
	return err
}

// beat reports to Redis every now and then, so that the others know of this node, and a
// node on which nothing happens finds out as others do when Redis is down.
func (r *Redis) heartbeat() {
	tick := time.NewTicker(r.opts.heartbeatInterval)
	defer tick.Stop()
	for {
		select {
		case <-r.health.closed.Done():
			return
		case <-tick.C:
			r.beatOnce()
		}
	}
}

// beatOnce does not report while Redis has been back for a moment only. It may go again
// soon, and then the others are not to be waited for once more.
func (r *Redis) beatOnce() {
	if r.health.recovering() {
		_ = r.Check(r.health.closed)
	} else {
		_ = r.report(r.health.closed)
	} // a failure is noted
}

var probeScript = newScript("probe", `return redis.call("SET", KEYS[1], "1", "PX", 1000)`)

// probeCall is a write, because a Redis that is full or a replica answers reads.
func probeCall(id string) call {
	return call{script: probeScript, id: id, names: []string{"probe"}}
}

// Check returns nil if Redis works.
func (r *Redis) Check(ctx context.Context) error {
	_, err := r.run(ctx, probeCall(""))
	return err
}
