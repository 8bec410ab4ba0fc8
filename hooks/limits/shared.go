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
//	PREFIX{id:ID}:counted    for whom an upload is counted
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
func (s *shared) callerKey(id string) string  { return s.prefix + "{id:" + id + "}:counted" }
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
	end
`

var claimScript = redis.NewScript(luaLive + `
	if redis.call("ZSCORE", live, id) then
		return "known"
	end
	local limit = tonumber(ARGV[3])
	if limit > 0 and redis.call("ZCARD", live) >= limit then
		return "full"
	end
	count()
	return "new"`)

var keepScript = redis.NewScript(luaLive + `
	count()
	return "kept"`)

func (s *shared) claim(ctx context.Context, key, id string, limit int, lifetime time.Duration) (bool, error) {
	ctx, cancel := patiently(ctx)
	defer cancel()
	found, err := claimScript.Run(ctx, s.redis, []string{s.liveKey(key)}, id, millis(lifetime), limit).Text()
	switch {
	case err != nil:
		return false, err
	case found == "full":
		return false, errFull
	case found == "known":
		return true, nil
	}
	return false, s.redis.Set(ctx, s.callerKey(id), key, lifetime).Err()
}

func (s *shared) keep(ctx context.Context, key, id string, lifetime time.Duration) error {
	ctx, cancel := patiently(ctx)
	defer cancel()
	before, err := s.redis.Get(ctx, s.callerKey(id)).Result()
	switch {
	case err == nil:
		key = before
	case !errors.Is(err, redis.Nil):
		return err
	}
	if err := keepScript.Run(ctx, s.redis, []string{s.liveKey(key)}, id, millis(lifetime)).Err(); err != nil {
		return err
	}
	return s.redis.Set(ctx, s.callerKey(id), key, lifetime).Err()
}

func (s *shared) release(ctx context.Context, id string) error {
	ctx, cancel := patiently(ctx)
	defer cancel()
	key, err := s.redis.GetDel(ctx, s.callerKey(id)).Result()
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

// EvalSha implements redis.Scripter.
func (p *prefixed) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return p.UniversalClient.EvalSha(ctx, sha, p.keys(keys), args...)
}
