package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// An Arbiter decides which of the values that writers propose for a key is stored, where S3
// itself does not: a server that ignores or refuses If-None-Match. All processes that share
// a bucket share the Arbiter. It may forget a decision after DecisionTTL.
type Arbiter interface {
	// Decide returns the value that was proposed first. An error means that nothing may
	// be stored.
	Decide(ctx context.Context, key, value string) (decided string, err error)
	// Forget forgets the decisions about keys, whose objects have been removed.
	Forget(ctx context.Context, keys ...string) error
}

// DecisionTTL is how long a decision counts at least: longer than a put takes. After that
// the object itself shows what was decided.
const DecisionTTL = 5 * time.Minute

// MemoryArbiter is the Arbiter of a single process. The zero value is ready to use.
type MemoryArbiter struct {
	mu      sync.Mutex
	decided map[string]decision // by key
	swept   time.Time
}

type decision struct {
	value string
	at    time.Time
}

// Decide implements Arbiter.
func (a *MemoryArbiter) Decide(_ context.Context, key, value string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dropOld()
	if d, ok := a.decided[key]; ok {
		return d.value, nil
	}
	if a.decided == nil {
		a.decided = map[string]decision{}
	}
	a.decided[key] = decision{value, time.Now()}
	return value, nil
}

func (a *MemoryArbiter) dropOld() {
	if time.Since(a.swept) < DecisionTTL/10 {
		return
	}
	a.swept = time.Now()
	maps.DeleteFunc(a.decided, func(_ string, d decision) bool { return time.Since(d.at) > DecisionTTL })
}

// Forget implements Arbiter.
func (a *MemoryArbiter) Forget(_ context.Context, keys ...string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, key := range keys {
		delete(a.decided, key)
	}
	return nil
}

// errUndecided means that another writer was first to propose a value, which is not stored yet.
var errUndecided = errors.New("another process is about to write the object")

// textIfAbsent is PutIfAbsent for a server that honors no If-None-Match. A writer that is late
// stores the text that was decided on once more, and so never replaces it by another.
func (c *Client) textIfAbsent(ctx context.Context, key string, text []byte) ([]byte, error) {
	there, err := c.Get(ctx, key)
	if !errors.Is(err, ErrMissing) {
		return there, err
	}
	decided, err := c.Arbiter.Decide(ctx, key, string(text))
	if err != nil {
		return nil, storage.Unavailable("decide on", key, err)
	}
	return []byte(decided), c.Put(ctx, JSONObject(key, []byte(decided)))
}

// putDecided puts an object that must be absent, on such a server. Objects with the same
// content and metadata are the same.
func (c *Client) putDecided(ctx context.Context, o Object) error {
	metadata, err := json.Marshal(o.Metadata)
	if err != nil {
		return err
	}
	same := sha256.Sum256(fmt.Appendf(metadata, " %d %s", o.Size, o.Sum))
	if err := c.decideAbsent(ctx, o.Key, hex.EncodeToString(same[:])); err != nil {
		return err
	}
	o.IfAbsent = false
	return c.Put(ctx, o)
}

// decideAbsent returns nil if there is no object under key and it is decided that one
// identified by value is stored, or ErrTaken if there is one.
func (c *Client) decideAbsent(ctx context.Context, key, value string) error {
	if _, err := c.Head(ctx, key); !errors.Is(err, ErrMissing) {
		if err == nil {
			err = ErrTaken
		}
		return err
	}
	decided, err := c.Arbiter.Decide(ctx, key, value)
	if err == nil && decided != value {
		err = errUndecided
	}
	return storage.Unavailable("decide on", key, err)
}
