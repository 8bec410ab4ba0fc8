package s3

import (
	"context"
	"maps"
	"sync"
	"time"
)

const (
	// checkDeletions is the maximum age of a tombstone for which Clean completes the
	// deletion. Older ones, most of which are complete, are checked once more when the
	// tombstone is removed, which saves requests.
	checkDeletions = time.Hour
	// maxDeletions is the maximum number of deletions that a process remembers.
	maxDeletions = 100_000
)

// deletions remembers those that this process knows to be complete: after an interrupted
// one, only the tombstone may be left. The zero value is ready to use.
type deletions struct {
	mu       sync.Mutex
	complete map[string]time.Time // time of completion, by upload id
}

func (d *deletions) add(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.complete == nil || len(d.complete) >= maxDeletions {
		d.complete = map[string]time.Time{}
	}
	d.complete[id] = time.Now()
}

func (d *deletions) knows(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, known := d.complete[id]
	return known
}

func (d *deletions) forgetBefore(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.complete, func(_ string, completed time.Time) bool { return completed.Before(at) })
}

// completeDeletion removes what an interrupted deletion may have left: objects listed
// beside the tombstone, and the file unless this process knows the deletion is complete.
func (s *Store) completeDeletion(ctx context.Context, id string, t listing) error {
	complete := len(t.keys) == 1 && (s.deletions.knows(id) || time.Since(t.touched) > checkDeletions)
	if !t.gone || complete {
		return nil
	}
	return s.Delete(ctx, id)
}
