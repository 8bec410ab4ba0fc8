package observed

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// Redis begins to measure Redis. It returns what redis.Options takes as Observe.
func (m *Metrics) Redis() func(ctx context.Context, operation string) (context.Context, func(error)) {
	m.redis = m.newOperations("redis", "Calls to Redis; none is made while it is known to be down.", quick)
	m.redis.kind = trace.SpanKindClient
	return func(ctx context.Context, operation string) (context.Context, func(error)) {
		return m.redis.begin(ctx, operation, "")
	}
}

// Degraded shows whether the node has to do without Redis: it is asked at each
// scrape.
func (m *Metrics) Degraded(down func() bool) {
	m.gauge("holdfast_degraded", "1 while the node goes on without Redis, which does not answer.", func() float64 {
		if down() {
			return 1
		}
		return 0
	})
}
