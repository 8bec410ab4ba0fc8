package s3

import (
	"context"
	"sync"
	"time"
)

const (
	// removeAfter is how long an object stays after it has become needless: superseded by
	// another one.
	removeAfter = 30 * time.Second
	// removeRetiredAfter is how long needless objects of a retired upload stay, so that one
	// request removes those of many uploads. No reader depends on them, but a sweep of
	// another node loads the upload while they exist.
	removeRetiredAfter = 6 * time.Second
	// maxNeedless is how many keys are queued for removal at most: about ten megabytes of
	// memory.
	maxNeedless = 100_000
	// removeTimeout is how long one round of removals may take. Objects that it does not
	// remove stay until their upload is finished or deleted.
	removeTimeout = 5 * time.Minute
)

// remover removes objects that others have superseded, after a delay: a listing that began
// before the superseding objects were stored must by then be too old to use, see
// longestListing.
//
// It uses this process's own, monotonic clock. Objects that a process has not removed when it
// ends are removed by another one that loads the upload, or when the upload is finished or
// deleted.
type remover struct {
	remove func(ctx context.Context, keys ...string) error
	now    func() time.Time
	after  time.Duration

	mu       sync.Mutex
	queue    []*needless // in the order in which they were added
	byUpload map[string][]*needless
	keys     map[string]struct{}
	timer    *time.Timer // nil unless a round is scheduled
}

// needless are the keys of an upload that became needless at one time.
type needless struct {
	id    string // of the upload
	keys  []string
	since time.Time
}

func newRemover(remove func(context.Context, ...string) error, now func() time.Time, after time.Duration) *remover {
	return &remover{remove: remove, now: now, after: after, byUpload: map[string][]*needless{}, keys: map[string]struct{}{}}
}

// longestListing is how long a listing, with all its pages, may take and still be used. It
// is half of the time that needless objects stay: so of an object and the one that supersedes
// it, every listing shows at least one.
func (r *remover) longestListing() time.Duration { return r.after / 2 }

// add queues objects of an upload for removal. The objects that supersede them must be stored
// already. Keys beyond maxNeedless are dropped.
func (r *remover) add(id string, keys ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := &needless{id: id, since: r.now()}
	for _, key := range keys {
		if _, known := r.keys[key]; !known && len(r.keys) < maxNeedless {
			r.keys[key] = struct{}{}
			n.keys = append(n.keys, key)
		}
	}
	if len(n.keys) == 0 {
		return
	}
	r.queue = append(r.queue, n)
	r.byUpload[id] = append(r.byUpload[id], n)
	r.schedule()
}

// take dequeues the keys of an upload, for a caller that removes them together with the rest
// of the upload.
func (r *remover) take(id string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var keys []string
	for _, n := range r.byUpload[id] {
		keys = append(keys, n.keys...)
		r.drop(n)
	}
	delete(r.byUpload, id)
	return keys
}

// has reports whether objects of an upload are queued.
func (r *remover) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byUpload[id]) > 0
}

// drop clears the keys of n, but leaves n in the queue.
func (r *remover) drop(n *needless) {
	for _, key := range n.keys {
		delete(r.keys, key)
	}
	n.keys = nil
}

// removeDue removes the objects whose delay has passed.
func (r *remover) removeDue(ctx context.Context) error {
	return r.remove(ctx, r.takeSince(r.now().Add(-r.after))...)
}

// takeAll dequeues all keys.
func (r *remover) takeAll() []string { return r.takeSince(r.now()) }

// takeSince dequeues the keys that were queued at the given time or before.
func (r *remover) takeSince(at time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var keys []string
	for len(r.queue) > 0 && !r.queue[0].since.After(at) {
		n := r.queue[0]
		r.queue = r.queue[1:]
		keys = append(keys, n.keys...)
		r.drop(n)
		if of := r.byUpload[n.id]; len(of) > 0 && of[0] == n {
			r.byUpload[n.id] = of[1:]
		}
		if len(r.byUpload[n.id]) == 0 {
			delete(r.byUpload, n.id)
		}
	}
	return keys
}

// schedule sets the timer for the next round. That comes some time after the first object is
// due, so that one request removes many.
func (r *remover) schedule() {
	if r.timer != nil || len(r.queue) == 0 {
		return
	}
	wait := r.queue[0].since.Add(r.after).Sub(r.now())
	r.timer = time.AfterFunc(max(0, wait)+r.after/3, r.round)
}

func (r *remover) round() {
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	_ = r.removeDue(ctx) // objects that can't be removed now are removed with their upload
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = nil
	r.schedule()
}
