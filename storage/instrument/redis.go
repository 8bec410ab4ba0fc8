package instrument

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// Redis registers the metrics of Redis, and returns the Observe function of redis.Options.
func (m *Metrics) Redis() func(ctx context.Context, operation string) (context.Context, func(error)) {
	m.redis = m.newOperations("redis", "Calls to Redis; none is made while it is known to be down.", quick)
	m.redis.kind = trace.SpanKindClient
	return func(ctx context.Context, operation string) (context.Context, func(error)) {
		return m.redis.begin(ctx, operation, "")
	}
}

// RedisUp registers whether Redis is up. It calls up at each scrape.
func (m *Metrics) RedisUp(up func() bool) {
	m.gauge("holdfast_redis_up", "1 if Redis answers, 0 while the node goes on without it.", func() float64 {
		if up() {
			return 1
		}
		return 0
	})
}
