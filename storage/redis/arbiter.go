package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Arbiter decides which of the values that several nodes propose for a key counts: the first
// one. It is for a store that does not decide that itself. Unlike the Locker and the Cache,
// it fails while Redis is down.
type Arbiter struct{ redis *Redis }

// NewArbiter returns the Arbiter of a connection.
func NewArbiter(r *Redis) *Arbiter { return &Arbiter{r} }

// decisionTTL is how long a decision counts: longer than a store takes to write an object.
const decisionTTL = 5 * time.Minute

var (
	decideScript = newScript("decide", `
		local decided = redis.call("GET", KEYS[1])
		if not decided then
			decided = ARGV[1]
			redis.call("SET", KEYS[1], decided, "PX", ARGV[2])
		end
		return decided`)
	dropDecisionScript = newScript("drop decision", `return redis.call("DEL", KEYS[1])`)
)

// Decide returns the value that was proposed first for a key.
func (a *Arbiter) Decide(ctx context.Context, key, value string) (string, error) {
	reply, err := a.redis.run(ctx, call{script: decideScript, id: digest(key), names: []string{"decided"}, args: []any{value, decisionTTL.Milliseconds()}})
	if err != nil {
		return "", err
	}
	decided, ok := reply.(string)
	if !ok {
		return "", fmt.Errorf("redis: the decision about %s is %v", key, reply)
	}
	return decided, nil
}

// Forget forgets what was decided about keys.
func (a *Arbiter) Forget(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if _, err := a.redis.run(ctx, call{script: dropDecisionScript, id: digest(key), names: []string{"decided"}}); err != nil {
			return err
		}
	}
	return nil
}

// digest returns a short name without braces for any key.
func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}
