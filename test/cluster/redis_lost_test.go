package cluster

import (
	"syscall"
	"testing"
)

func TestFlushedRedisLosesNothing(t *testing.T) {
	t.Parallel()
	c := start(t)
	l := c.newLoad(perScenario, 6)
	l.run(func() {
		for part := 0.05; part < 0.95; part += 0.03 {
			l.reached(part)
			if err := c.redisClient().FlushAll(t.Context()).Err(); err != nil {
				t.Error(err)
			}
		}
	})
	l.wantAll()
	c.wantOnlyFiles(l.uploads...)
}

func TestKilledRedisMeansSlowerNotDown(t *testing.T) {
	t.Parallel()
	c := start(t)
	l := c.newLoad(perScenario, 7)
	l.run(func() {
		l.reached(0.2)
		c.redis.Kill()
		l.reached(0.6) // the nodes go on alone
		c.redis.Start()
	})
	l.wantAll()
	c.wantOnlyFiles(l.uploads...)
}

// Worse than one that is gone is one that takes connections and does not answer.
func TestAHangingRedisMeansSlowerNotDown(t *testing.T) {
	t.Parallel()
	c := start(t)
	l := c.newLoad(perScenario, 8)
	l.run(func() {
		l.reached(0.2)
		c.redis.Signal(syscall.SIGSTOP)
		l.reached(0.4)
		c.redis.Signal(syscall.SIGCONT)
	})
	l.wantAll()
	c.wantOnlyFiles(l.uploads...)
}
