package s3

import (
	"context"
	"maps"
	"sync"
	"time"
)

const (
	// checkDeletions is how new the mark of a deletion is that Clean completes: one that
	// was completed already costs some requests once, so those are left to the last look,
	// which comes when the mark is removed.
	checkDeletions = time.Hour
	// maxDeletions is how many deletions a process remembers.
	maxDeletions = 100_000
)

// deletions are those that this process has seen to be complete: of one that broke off
// after its mark was written, nothing but the mark may tell. The zero value is ready to use.
type deletions struct {
	mu       sync.Mutex
	complete map[string]time.Time // when, by upload id
}

func (d *deletions) note(id string) {
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
	maps.DeleteFunc(d.complete, func(_ string, seen time.Time) bool { return seen.Before(at) })
}

// completeDeletion removes what a deletion may have left: what is listed beside its mark,
// and its file unless this process has seen that the deletion is complete.
func (s *Store) completeDeletion(ctx context.Context, id string, t listing) error {
	complete := len(t.keys) == 1 && (s.deletions.knows(id) || time.Since(t.touched) > checkDeletions)
	if !t.gone || complete {
		return nil
	}
	return s.Delete(ctx, id)
}
