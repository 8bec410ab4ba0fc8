package limits

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

// shared counts in Redis, with the other nodes:
//
//	PREFIXrate:KEY           what a caller has spent of an allowance
//	PREFIX{live:KEY}         the live uploads of a caller, and until when they count
//	PREFIX{id:ID}:counted    whose upload it is, once it is there
//
// Each key expires. The clock is that of Redis.
type shared struct {
	redis  redis.UniversalClient
	prefix string
	rates  *redis_rate.Limiter
}

var _ counter = (*shared)(nil)

func newShared(client redis.UniversalClient, prefix string) *shared {
	return &shared{client, prefix, redis_rate.NewLimiter(&prefixed{client, prefix})}
}

// askTimeout is how long Redis may take: limits are not worth waiting for.
const askTimeout = time.Second

// patiently keeps a client that goes away from looking like a Redis that is down.
func patiently(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
}

func (s *shared) spend(ctx context.Context, a allowance, n int) (time.Duration, error) {
	ctx, cancel := patiently(ctx)
	defer cancel()
	r, err := s.rates.AllowN(ctx, a.key, redis_rate.Limit{Rate: a.most, Burst: a.most, Period: a.period}, n)
	if err == nil && n < 0 && r.ResetAfter <= 0 { // all has come back, which the library does not write down
		err = s.rates.Reset(ctx, a.key)
	}
	if err != nil || r.Allowed == n {
		return 0, err
	}
	return max(r.RetryAfter, time.Second), nil
}

func (s *shared) ask(ctx context.Context, a allowance, n int) (time.Duration, error) {
	ctx, cancel := patiently(ctx)
	defer cancel()
	r, err := s.rates.AllowN(ctx, a.key, redis_rate.Limit{Rate: a.most, Burst: a.most, Period: a.period}, 0)
	if err != nil {
		return 0, err
	}
	return max(0, a.worth(float64(n-r.Remaining))), nil
}

func (s *shared) liveKey(key string) string   { return s.prefix + "{live:" + key + "}" }
func (s *shared) ownerKey(id string) string   { return s.prefix + "{id:" + id + "}:counted" }
func millis(d time.Duration) (number float64) { return float64(d.Milliseconds()) }

// luaLive begins the scripts of a caller's live uploads: a sorted set of their ids, by
// the time until which they count.
const luaLive = `
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

var claimScript = redis.NewScript(luaLive + `
	if redis.call("ZSCORE", live, id) then
		return 0
	end
	local limit = tonumber(ARGV[3])
	if limit > 0 and redis.call("ZCARD", live) >= limit then
		return -1
	end
	return count()`)

var withdrawScript = redis.NewScript(`
	if tonumber(redis.call("ZSCORE", KEYS[1], ARGV[1])) == tonumber(ARGV[2]) then
		redis.call("ZREM", KEYS[1], ARGV[1])
	end
	return 0`)

var keepScript = redis.NewScript(luaLive + `
	return count()`)

func (s *shared) claim(ctx context.Context, key, id string, limit int, lifetime time.Duration) (claim, error) {
	ctx, cancel := patiently(ctx)
	defer cancel()
	found, err := claimScript.Run(ctx, s.redis, []string{s.liveKey(key)}, id, millis(lifetime), limit).Int64()
	if err == nil && found < 0 {
		err = errFull
	}
	return claim(max(found, 0)), err
}

func (s *shared) withdraw(ctx context.Context, key, id string, c claim) error {
	ctx, cancel := patiently(ctx)
	defer cancel()
	return withdrawScript.Run(ctx, s.redis, []string{s.liveKey(key)}, id, int64(c)).Err()
}

func (s *shared) own(ctx context.Context, key, id string, lifetime time.Duration) error {
	ctx, cancel := patiently(ctx)
	defer cancel()
	before, err := s.redis.SetArgs(ctx, s.ownerKey(id), key, redis.SetArgs{Get: true, TTL: lifetime}).Result()
	if err == nil && before != key {
		err = s.redis.ZRem(ctx, s.liveKey(before), id).Err()
	}
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	return s.count(ctx, key, id, lifetime)
}

func (s *shared) count(ctx context.Context, key, id string, lifetime time.Duration) error {
	return keepScript.Run(ctx, s.redis, []string{s.liveKey(key)}, id, millis(lifetime)).Err()
}

func (s *shared) keep(ctx context.Context, key, id string, lifetime time.Duration) error {
	ctx, cancel := patiently(ctx)
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

func (s *shared) release(ctx context.Context, id string) error {
	ctx, cancel := patiently(ctx)
	defer cancel()
	key, err := s.redis.GetDel(ctx, s.ownerKey(id)).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.redis.ZRem(ctx, s.liveKey(key), id).Err()
}

// prefixed puts the prefix before the library's own.
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
