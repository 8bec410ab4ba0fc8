package console

import (
	"context"
	"sync"
	"time"
)

// checkEvery is the time between two checks while a page watches, and checkTimeout how long
// one may take.
const (
	checkEvery   = 5 * time.Second
	checkTimeout = 10 * time.Second
)

// Health is what the last check of something found. Times are in milliseconds since 1970, 0
// for never.
type Health struct {
	Used    bool   `json:"used"`              // false if the server has no such thing
	Checked int64  `json:"checked"`           // when the check ended
	Error   string `json:"error,omitempty"`   // why it failed
	Failing int64  `json:"failing,omitempty"` // since when checks fail: at the latest, because there are no checks without a page that watches
}

// checks repeat a check while a page watches.
type checks struct {
	check func(context.Context) error // nil if there is nothing to check

	mu      sync.Mutex
	health  Health
	began   time.Time // when the last check began
	running bool
}

// start begins a check in the background if one is due.
func (c *checks) start(ctx context.Context, now time.Time) {
	if c.check == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running || now.Sub(c.began) < checkEvery {
		return
	}
	c.running, c.began = true, now
	go func() {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		c.ended(c.check(ctx))
	}()
}

func (c *checks) ended(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := millis(time.Now())
	c.running, c.health.Checked, c.health.Error = false, now, ""
	switch {
	case err == nil:
		c.health.Failing = 0
	case c.health.Failing == 0:
		c.health.Failing = now
		fallthrough
	default:
		c.health.Error = shorten(err.Error())
	}
}

func (c *checks) last() Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.health
	h.Used = c.check != nil
	return h
}
