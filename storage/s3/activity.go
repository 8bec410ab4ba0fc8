package s3

import (
	"slices"
	"sync"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// activities are the uploads that this process stores something of right now. The zero
// value is ready to use.
type activities struct {
	mu sync.Mutex
	of map[activityKey]*activity
}

// activityKey names an upload: the same id may be used again after a deletion.
type activityKey struct {
	id      string
	created int64
}

// activity is what those who store something of one upload at the same time have to know
// of each other: one that began early does not know what others have stored, and been
// acknowledged, since; nor that the upload was deleted.
type activity struct {
	key   activityKey
	users int // guarded by activities.mu

	mu     sync.Mutex
	stored storage.Upload // the pieces that were stored since the first of them began
	held   []ranges.Range
	freed  chan struct{} // closed when a range is given back
	gone   bool
}

// join returns the activity on an upload. The caller leaves it when it is done.
func (a *activities) join(up storage.Upload) *activity {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := activityKey{up.ID, up.Created.UnixNano()}
	now, ok := a.of[key]
	if !ok {
		if a.of == nil {
			a.of = map[activityKey]*activity{}
		}
		now = &activity{key: key, freed: make(chan struct{})}
		a.of[key] = now
	}
	now.users++
	return now
}

func (a *activities) leave(now *activity) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.users--; now.users == 0 {
		delete(a.of, now.key)
	}
}

// each calls f with all that is going on with an id.
func (a *activities) each(id string, f func(*activity)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, now := range a.of {
		if key.id == id {
			f(now)
		}
	}
}

// deleted notes that an upload was deleted. What is stored of it before that is there for
// the deletion to remove; who stores something later finds the note when it looks
// afterwards.
func (a *activities) deleted(id string) {
	a.each(id, func(now *activity) {
		now.mu.Lock()
		defer now.mu.Unlock()
		now.gone = true
	})
}

// forget lets go of what is known to be stored of an upload, for S3 has shown that it is
// not.
func (a *activities) forget(id string) {
	a.each(id, func(now *activity) {
		now.mu.Lock()
		defer now.mu.Unlock()
		now.stored = storage.Upload{}
	})
}

func (a *activity) isGone() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gone
}

// add notes that a piece is stored.
func (a *activity) add(p storage.Extent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stored.Add(p)
}

// addTo returns up with what others have stored of it.
func (a *activity) addTo(up storage.Upload) storage.Upload {
	a.mu.Lock()
	defer a.mu.Unlock()
	cloned := false
	for name, p := range a.stored.Extents {
		if known, ok := up.Extents[name]; ok && known == p || !p.Empty() && !isPart(name) && up.Received.Contains(p.Range) {
			continue
		}
		if !cloned {
			up, cloned = up.Clone(), true
		}
		up.Add(p)
	}
	return up
}

// hold waits until no other caller holds any byte of r, and returns the function that
// gives r back. A caller that holds one range must not ask for another one.
func (a *activity) hold(r ranges.Range) (release func()) {
	a.mu.Lock()
	for slices.ContainsFunc(a.held, func(o ranges.Range) bool { return !o.Intersect(r).Empty() }) {
		freed := a.freed
		a.mu.Unlock()
		<-freed
		a.mu.Lock()
	}
	a.held = append(a.held, r)
	a.mu.Unlock()
	return sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		i := slices.Index(a.held, r)
		a.held = slices.Delete(a.held, i, i+1)
		close(a.freed)
		a.freed = make(chan struct{})
	})
}
