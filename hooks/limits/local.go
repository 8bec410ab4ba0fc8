package limits

import (
	"context"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// local counts in this process.
type local struct {
	mu      sync.Mutex
	buckets *lru.Cache[string, *rate.Limiter]
	live    map[string]map[string]time.Time // by caller and upload: until when it counts
	owners  map[string]string               // by upload, once it is there
	cleaned time.Time
}

var _ counter = (*local)(nil)

func newLocal() *local {
	buckets, err := lru.New[string, *rate.Limiter](most)
	if err != nil {
		panic(err) // the size is right
	}
	return &local{buckets: buckets, live: map[string]map[string]time.Time{}, owners: map[string]string{}}
}

func (l *local) bucket(a allowance) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets.Get(a.key)
	if !ok {
		b = rate.NewLimiter(rate.Limit(float64(a.most)/a.period.Seconds()), a.most)
		l.buckets.Add(a.key, b)
	}
	return b
}

func (l *local) spend(ctx context.Context, a allowance, n int) (time.Duration, error) {
	switch {
	case n > a.most:
		return a.period, nil
	case l.bucket(a).AllowN(time.Now(), n):
		return 0, nil
	}
	wait, err := l.ask(ctx, a, n)
	return max(wait, time.Millisecond), err // by now there may be enough, but it was not taken
}

func (l *local) ask(_ context.Context, a allowance, n int) (time.Duration, error) {
	missing := float64(n) - l.bucket(a).TokensAt(time.Now())
	return max(0, a.worth(missing)), nil
}

func (l *local) claim(_ context.Context, key, id string, limit int, lifetime time.Duration) (claim, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.clean(now)
	own := 0
	for other, until := range l.live[key] {
		if now.Before(until) {
			if other == id {
				return 0, nil
			}
			own++
		}
	}
	if limit > 0 && own >= limit {
		return 0, errFull
	}
	until := now.Add(lifetime)
	l.count(key, id, until)
	return claim(until.UnixMilli()), nil
}

func (l *local) count(key, id string, until time.Time) {
	if l.live[key] == nil {
		l.live[key] = map[string]time.Time{}
	}
	l.live[key][id] = until
}

func (l *local) withdraw(_ context.Context, key, id string, c claim) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if claim(l.live[key][id].UnixMilli()) == c {
		l.forget(key, id)
	}
	return nil
}

func (l *local) own(_ context.Context, key, id string, lifetime time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, ok := l.owners[id]; ok && before != key {
		l.forget(before, id)
	}
	l.owners[id] = key
	l.count(key, id, time.Now().Add(lifetime))
	return nil
}

func (l *local) keep(_ context.Context, key, id string, lifetime time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if owner, ok := l.owners[id]; ok {
		key = owner
	}
	l.owners[id] = key
	l.count(key, id, time.Now().Add(lifetime))
	return nil
}

func (l *local) release(_ context.Context, id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(l.owners[id], id)
	return nil
}

func (l *local) forget(key, id string) {
	if l.owners[id] == key {
		delete(l.owners, id)
	}
	delete(l.live[key], id)
	if len(l.live[key]) == 0 {
		delete(l.live, key)
	}
}

// clean forgets, now and then, what does not count any more.
func (l *local) clean(now time.Time) {
	if now.Sub(l.cleaned) < claimFor {
		return
	}
	l.cleaned = now
	for key, own := range l.live {
		for id, until := range own {
			if now.After(until) {
				l.forget(key, id)
			}
		}
	}
}
