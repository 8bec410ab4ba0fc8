package redis

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// maxDeferred limits the calls that are deferred until Redis recovers.
const maxDeferred = 100_000

// health tracks whether Redis works. Once a call has failed, no other is made until a
// background probe succeeds.
type health struct {
	interval time.Duration // approximate time between probes while Redis is down
	recovery time.Duration // for how long the cache is not trusted after Redis has recovered

	stop   context.CancelFunc
	closed context.Context
	bg     sync.WaitGroup

	mu          sync.Mutex
	cause       error           // why Redis counts as down, nil if it is up
	recoveredAt time.Time       // when Redis last recovered
	deferred    map[string]call // what to run first after recovery, by key
	overflowed  bool            // more calls were deferred than fit
}

func (h *health) init(opts Options) {
	h.closed, h.stop = context.WithCancel(context.Background())
	h.deferred = map[string]call{}
	h.interval, h.recovery = cmp.Or(opts.probeInterval, time.Second), cmp.Or(opts.recovery, defaultRecovery)
}

func (h *health) close() {
	h.mu.Lock()
	h.stop()
	h.mu.Unlock()
	h.bg.Wait()
}

// down returns why Redis counts as down, nil if it is up.
func (h *health) down() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cause
}

// defaultRecovery gives all nodes time to notice that Redis is back, and to run their
// deferred calls.
const defaultRecovery = 3 * time.Second

// recovering reports whether the cache may lack what other nodes have stored during the last
// outage.
func (h *health) recovering() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.recoveredAt.IsZero() && time.Since(h.recoveredAt) < h.recovery
}

// enter returns nil if a call may be made now. Otherwise it defers the compensation of c.
func (h *health) enter(c call) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cause != nil {
		h.deferCall(c)
	}
	return h.cause
}

func (h *health) deferCall(c call) {
	in := c.compensation
	switch {
	case in == nil:
	case len(h.deferred) < maxDeferred:
		h.deferred[fmt.Sprint(in.names[0], " ", in.id, in.args)] = *in
	default:
		h.overflowed = true
	}
}

// needsNewEpoch reports whether Redis missed more calls than could be deferred, so that all
// its state must be invalidated.
func (h *health) needsNewEpoch() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.overflowed
}

// epochRenewed records that the epoch was renewed, if it was.
func (h *health) epochRenewed(renewed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.overflowed = h.overflowed && !renewed
}

// failed records a failed call, and starts probing.
func (r *Redis) failed(c call, err error) {
	h := &r.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed.Err() != nil {
		return
	}
	h.deferCall(c)
	if h.cause != nil {
		return
	}
	h.cause = err
	r.opts.Log.Warn("Redis does not answer: going on without it, with local locks and the state of the store", "error", err)
	h.bg.Go(func() { r.probe(c.id) })
}

// probe waits until Redis works for the key of the call that failed, runs the deferred
// calls, and then lets calls through again.
func (r *Redis) probe(id string) {
	h := &r.health
	for {
		select {
		case <-h.closed.Done():
			return
		case <-time.After(h.interval/2 + rand.N(h.interval)):
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
		calls := h.deferred
		h.deferred = map[string]call{}
		if len(calls) == 0 {
			h.cause, h.recoveredAt = nil, time.Now()
			r.opts.Log.Info("Redis answers again") // logged under the lock: before the next outage
			h.mu.Unlock()
			return true
		}
		h.mu.Unlock()
		err = r.runDeferred(calls)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cause = err
	return false
}

// runDeferred runs deferred calls, and keeps those that fail.
func (r *Redis) runDeferred(calls map[string]call) (err error) {
	for key, c := range calls {
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

// heartbeat reports to Redis at intervals, so that other nodes know of this one, and an idle
// node notices outages.
func (r *Redis) heartbeat() {
	tick := time.NewTicker(r.opts.heartbeatInterval)
	defer tick.Stop()
	for {
		select {
		case <-r.health.closed.Done():
			return
		case <-tick.C:
			r.sendHeartbeat()
		}
	}
}

// sendHeartbeat only probes while Redis is recovering: if it failed again soon, the other
// nodes would have to be waited for once more.
func (r *Redis) sendHeartbeat() {
	if r.health.recovering() {
		_ = r.Check(r.health.closed)
	} else {
		_ = r.report(r.health.closed)
	} // failures are recorded by run
}

var probeScript = newScript("probe", `return redis.call("SET", KEYS[1], "1", "PX", 1000)`)

// probeCall writes, because a Redis that is full, or a replica, still answers reads.
func probeCall(id string) call {
	return call{script: probeScript, id: id, names: []string{"probe"}}
}

// Check returns nil if Redis works.
func (r *Redis) Check(ctx context.Context) error {
	_, err := r.run(ctx, probeCall(""))
	return r.why(err)
}

// why returns the reason of the outage for a call that failed, in words for operators.
func (r *Redis) why(err error) error {
	if cause := r.health.down(); err != nil && cause != nil {
		return fmt.Errorf("Redis does not answer: %w", cause)
	}
	return err
}
