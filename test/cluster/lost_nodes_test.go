package cluster

import (
	"syscall"
	"testing"
	"time"
)

func TestKilledNodesLoseNothing(t *testing.T) {
	t.Parallel() // most of it is waiting for locks to lapse
	c := start(t, "--sweep-interval", "3s")
	l := c.newLoad(perScenario, 2)
	l.run(func() {
		for n, part := range []float64{0.15, 0.4, 0.65} {
			l.reached(part)
			c.killAndRestart(n, 200*time.Millisecond)
		}
	})
	l.wantAll()
}

func TestRollingRestartUnderLoadFailsNoUpload(t *testing.T) {
	t.Parallel()
	c := start(t, "--shutdown-timeout", "6s", "--sweep-interval", "3s")
	l := c.newLoad(perScenario, 3)
	l.run(func() {
		for step := range 2 * len(c.nodes) {
			l.reached(float64(step+1) / 8)
			n := step % len(c.nodes)
			if err := c.nodes[n].Terminate(15 * time.Second); err != nil {
				t.Errorf("node %d: %v", n, err)
			}
			c.restart(n)
		}
	})
	l.wantAll()
	c.wantOnlyFiles(l.uploads...)
}

// A node that stands still for a while, longer than its locks last, and then goes
// on where it was: here with all kinds of requests in its hands.
func TestF08PausedNodeGoesOnUnderLoadWithoutHarm(t *testing.T) {
	t.Parallel() // most of it is waiting for locks to lapse
	c := start(t)
	l := c.newLoad(perScenario, 4)
	l.run(func() {
		l.reached(0.3)
		c.signal(0, syscall.SIGSTOP)
		c.balancer.takeOut(c.nodes[0].Addr)
		time.Sleep(lockTTL + time.Second)
		c.signal(0, syscall.SIGCONT)
		c.balancer.putBack(c.nodes[0].Addr)
	})
	l.wantAll()
}
