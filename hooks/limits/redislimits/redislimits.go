// Package redislimits counts for package limits in Redis, so that all nodes of a
// service count together.
package redislimits

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/hooks/limits"
)

// counter is a limits.Counter. Its keys are
//
//	PREFIXrate:KEY           what a principal has taken of a quota
//	PREFIX{live:KEY}         the incomplete uploads of a principal, and until when they count
//	PREFIX{id:ID}:counted    the owner of an upload, once it exists
//
// Each key expires. The clock is that of Redis.
type counter struct {
	redis  redis.UniversalClient
	prefix string
	rates  *redis_rate.Limiter
}

var _ limits.Counter = (*counter)(nil)

// New returns a limits.Counter whose keys in Redis begin with prefix.
func New(client redis.UniversalClient, prefix string) limits.Counter {
	return &counter{client, prefix, redis_rate.NewLimiter(&prefixed{client, prefix})}
}

// redisTimeout is the timeout of a command: requests should not wait long for limits.
const redisTimeout = time.Second

// withTimeout ignores cancellation of ctx: a client that disconnects must not look like a
// failure of Redis.
func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), redisTimeout)
}

func (s *counter) Take(ctx context.Context, a limits.Quota, n int) (time.Duration, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	r, err := s.rates.AllowN(ctx, a.Key, redis_rate.Limit{Rate: a.Capacity, Burst: a.Capacity, Period: a.Period}, n)
	if err == nil && n < 0 && r.ResetAfter <= 0 { // the quota is full again, which the library does not record
		err = s.rates.Reset(ctx, a.Key)
	}
	if err != nil || r.Allowed == n {
		return 0, err
	}
	return max(r.RetryAfter, time.Second), nil
}

func (s *counter) Peek(ctx context.Context, a limits.Quota, n int) (time.Duration, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	r, err := s.rates.AllowN(ctx, a.Key, redis_rate.Limit{Rate: a.Capacity, Burst: a.Capacity, Period: a.Period}, 0)
	if err != nil {
		return 0, err
	}
	return max(0, a.Refill(float64(n-r.Remaining))), nil
}

func (s *counter) incompleteKey(key string) string { return s.prefix + "{live:" + key + "}" }
func (s *counter) ownerKey(id string) string       { return s.prefix + "{id:" + id + "}:counted" }
func millis(d time.Duration) (number float64)      { return float64(d.Milliseconds()) }

// luaIncomplete is the common prefix of the scripts on a principal's incomplete uploads: a
// sorted set of their ids, scored by the time until which they count.
const luaIncomplete = `
	local live, id, lifetime = KEYS[1], ARGV[1], tonumber(ARGV[2])
	local clock = redis.call("TIME")
	local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
	redis.call("ZREMRANGEBYSCORE", live, "-inf", now)

	local function count()
		redis.call("ZADD", live, now + lifetime, id)
		redis.call("PEXPIRE", live, math.max(lifetime, redis.call("PTTL", live)))
		return now + lifetime
	end
`

var reserveScript = redis.NewScript(luaIncomplete + `
	if redis.call("ZSCORE", live, id) then
		return 0
	end
	local limit = tonumber(ARGV[3])
	if limit > 0 and redis.call("ZCARD", live) >= limit then
		return -1
	end
	return count()`)

var rollbackScript = redis.NewScript(`
	if tonumber(redis.call("ZSCORE", KEYS[1], ARGV[1])) == tonumber(ARGV[2]) then
		redis.call("ZREM", KEYS[1], ARGV[1])
	end
	return 0`)

var touchScript = redis.NewScript(luaIncomplete + `
	return count()`)

func (s *counter) Reserve(ctx context.Context, key, id string, limit int, lifetime time.Duration) (limits.Reservation, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	found, err := reserveScript.Run(ctx, s.redis, []string{s.incompleteKey(key)}, id, millis(lifetime), limit).Int64()
	if err == nil && found < 0 {
		err = limits.ErrQuotaExhausted
	}
	return limits.Reservation(max(found, 0)), err
}

func (s *counter) Rollback(ctx context.Context, key, id string, c limits.Reservation) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	return rollbackScript.Run(ctx, s.redis, []string{s.incompleteKey(key)}, id, int64(c)).Err()
}

func (s *counter) Assign(ctx context.Context, key, id string, lifetime time.Duration) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	before, err := s.redis.SetArgs(ctx, s.ownerKey(id), key, redis.SetArgs{Get: true, TTL: lifetime}).Result()
	if err == nil && before != key {
		err = s.redis.ZRem(ctx, s.incompleteKey(before), id).Err()
	}
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	return s.count(ctx, key, id, lifetime)
}

func (s *counter) count(ctx context.Context, key, id string, lifetime time.Duration) error {
	return touchScript.Run(ctx, s.redis, []string{s.incompleteKey(key)}, id, millis(lifetime)).Err()
}

func (s *counter) Touch(ctx context.Context, key, id string, lifetime time.Duration) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	before, err := s.redis.Get(ctx, s.ownerKey(id)).Result()
	switch {
	case err == nil:
		key = before
	case !errors.Is(err, redis.Nil):
		return err
	}
	if err := s.count(ctx, key, id, lifetime); err != nil {
		return err
	}
	return s.redis.Set(ctx, s.ownerKey(id), key, lifetime).Err()
}

func (s *counter) Release(ctx context.Context, id string) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	key, err := s.redis.GetDel(ctx, s.ownerKey(id)).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.redis.ZRem(ctx, s.incompleteKey(key), id).Err()
}

// prefixed adds the prefix to the keys of redis_rate.
type prefixed struct {
	redis.UniversalClient
	prefix string
}

func (p *prefixed) keys(keys []string) []string {
	out := make([]string, len(keys))
	for i, key := range keys {
		out[i] = p.prefix + "rate:" + strings.TrimPrefix(key, "rate:")
	}
	return out
}

// Eval implements redis.Scripter.
func (p *prefixed) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return p.UniversalClient.Eval(ctx, script, p.keys(keys), args...)
}

// Del is for redis_rate.Limiter.Reset.
func (p *prefixed) Del(ctx context.Context, keys ...string) *redis.IntCmd {
	return p.UniversalClient.Del(ctx, p.keys(keys)...)
}

// EvalSha implements redis.Scripter.
func (p *prefixed) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return p.UniversalClient.EvalSha(ctx, sha, p.keys(keys), args...)
}
