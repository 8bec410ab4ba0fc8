package limits

import (
	"context"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// memory counts in this process.
type memory struct {
	mu         sync.Mutex
	buckets    *lru.Cache[string, *rate.Limiter]
	incomplete map[string]map[string]time.Time // by principal and upload: until when it counts
	owners     map[string]string               // by upload, once it exists
	cleaned    time.Time
}

var _ Counter = (*memory)(nil)

func newMemory() *memory {
	buckets, err := lru.New[string, *rate.Limiter](maxEntries)
	if err != nil {
		panic(err) // the size is right
	}
	return &memory{buckets: buckets, incomplete: map[string]map[string]time.Time{}, owners: map[string]string{}}
}

func (l *memory) bucket(a Quota) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets.Get(a.Key)
	if !ok {
		b = rate.NewLimiter(rate.Limit(float64(a.Capacity)/a.Period.Seconds()), a.Capacity)
		l.buckets.Add(a.Key, b)
	}
	return b
}

func (l *memory) Take(ctx context.Context, a Quota, n int) (time.Duration, error) {
	switch {
	case n > a.Capacity:
		return a.Period, nil
	case l.bucket(a).AllowN(time.Now(), n):
		return 0, nil
	}
	wait, err := l.Peek(ctx, a, n)
	return max(wait, time.Millisecond), err // enough may have been refilled by now, but nothing was taken
}

func (l *memory) Peek(_ context.Context, a Quota, n int) (time.Duration, error) {
	missing := float64(n) - l.bucket(a).TokensAt(time.Now())
	return max(0, a.Refill(missing)), nil
}

func (l *memory) Reserve(_ context.Context, key, id string, limit int, lifetime time.Duration) (Reservation, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.clean(now)
	count := 0
	for other, until := range l.incomplete[key] {
		if now.Before(until) {
			if other == id {
				return 0, nil
			}
			count++
		}
	}
	if limit > 0 && count >= limit {
		return 0, ErrQuotaExhausted
	}
	until := now.Add(lifetime)
	l.count(key, id, until)
	return Reservation(until.UnixMilli()), nil
}

func (l *memory) count(key, id string, until time.Time) {
	if l.incomplete[key] == nil {
		l.incomplete[key] = map[string]time.Time{}
	}
	l.incomplete[key][id] = until
}

func (l *memory) Rollback(_ context.Context, key, id string, c Reservation) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if Reservation(l.incomplete[key][id].UnixMilli()) == c {
		l.forget(key, id)
	}
	return nil
}

func (l *memory) Assign(_ context.Context, key, id string, lifetime time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, ok := l.owners[id]; ok && before != key {
		l.forget(before, id)
	}
	l.owners[id] = key
	l.count(key, id, time.Now().Add(lifetime))
	return nil
}

func (l *memory) Touch(_ context.Context, key, id string, lifetime time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if owner, ok := l.owners[id]; ok {
		key = owner
	}
	l.owners[id] = key
	l.count(key, id, time.Now().Add(lifetime))
	return nil
}

func (l *memory) Release(_ context.Context, id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(l.owners[id], id)
	return nil
}

func (l *memory) forget(key, id string) {
	if l.owners[id] == key {
		delete(l.owners, id)
	}
	delete(l.incomplete[key], id)
	if len(l.incomplete[key]) == 0 {
		delete(l.incomplete, key)
	}
}

// clean removes expired entries, at most once per reservationTTL.
func (l *memory) clean(now time.Time) {
	if now.Sub(l.cleaned) < reservationTTL {
		return
	}
	l.cleaned = now
	for key, count := range l.incomplete {
		for id, until := range count {
			if now.After(until) {
				l.forget(key, id)
			}
		}
	}
}
