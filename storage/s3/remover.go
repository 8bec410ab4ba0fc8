package s3

import (
	"context"
	"sync"
	"time"
)

const (
	// removeAfter is how long an object stays after it has become needless.
	removeAfter = 30 * time.Second
	// maxNeedless is how many keys a process remembers that are to be removed: some ten
	// megabytes of memory.
	maxNeedless = 100_000
	// removeTimeout is how long one round of removals may take. What is not removed then
	// stays until its upload is finished or deleted.
	removeTimeout = 5 * time.Minute
)

// remover removes objects that others have made needless, but not before any listing that
// may have missed the others is too old to be believed: see longestListing.
//
// Time is this process's own, monotonic. What a process has not removed when it ends,
// another one that loads the upload removes, or the finish or deletion of the upload does.
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

// needless is what one move of bytes has made needless.
type needless struct {
	id    string // of the upload
	keys  []string
	since time.Time
}

func newRemover(remove func(context.Context, ...string) error, now func() time.Time, after time.Duration) *remover {
	return &remover{remove: remove, now: now, after: after, byUpload: map[string][]*needless{}, keys: map[string]struct{}{}}
}

// longestListing is how long a listing may take, all its pages together, and still be
// believed. It is half of what anything needless stays at least: so of two objects, the
// first of which is removed because the second is there, each listing shows one.
func (r *remover) longestListing() time.Duration { return r.after / 2 }

// add has objects of an upload removed a while later. They must be needless already: what
// makes them so is stored. Those that are beyond what can be remembered stay.
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

// take returns the keys of what is to be removed of an upload, for a caller who removes
// them with all else that the upload has.
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

// drop forgets the keys of n, which stays in the queue.
func (r *remover) drop(n *needless) {
	for _, key := range n.keys {
		delete(r.keys, key)
	}
	n.keys = nil
}

// removeDue removes what has been needless for long enough.
func (r *remover) removeDue(ctx context.Context) error {
	return r.remove(ctx, r.takeSince(r.now().Add(-r.after))...)
}

// takeSince takes the keys of what has been needless since the given time or longer.
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

// schedule sees to it that there is a next round. It comes a while after the first object
// is due, so that one request removes what many moves have made needless.
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
	_ = r.removeDue(ctx) // what can't be removed now goes with its upload
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = nil
	r.schedule()
}
