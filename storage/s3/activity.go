package s3

import (
	"iter"
	"slices"
	"sync"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// activities tracks the uploads that this process is storing data of. The zero value is
// ready to use.
type activities struct {
	mu sync.Mutex
	of map[activityKey]*activity
}

// activityKey identifies an upload: after a deletion, its id may be used again.
type activityKey struct {
	id      string
	created int64
}

// activity is the state that concurrent operations on one upload share. An operation that
// began early would otherwise not see what others have stored and acknowledged since, nor
// that the upload was deleted.
type activity struct {
	key   activityKey
	users int // guarded by activities.mu

	mu     sync.Mutex
	stored storage.Upload // the extents stored since the first operation began
	held   []ranges.Range
	freed  chan struct{} // closed when a range is released
	gone   bool          // the upload was deleted
}

// join returns the activity on an upload. The caller must leave it when it is done.
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

// each calls f with every activity on id.
func (a *activities) each(id string, f func(*activity)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, now := range a.of {
		if key.id == id {
			f(now)
		}
	}
}

// deleted records that an upload was deleted. The deletion removes what was stored
// before; operations that store something later check isGone afterwards.
func (a *activities) deleted(id string) {
	a.each(id, func(now *activity) {
		now.mu.Lock()
		defer now.mu.Unlock()
		now.gone = true
	})
}

// forget drops what is recorded as stored of an upload, because S3 has shown otherwise.
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

// add records that an extent is stored.
func (a *activity) add(p storage.Extent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stored.Add(p)
}

// addTo returns up with the layout and the extents in r that concurrent operations have
// stored.
func (a *activity) addTo(up storage.Upload, r ranges.Range) storage.Upload {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, stored := range []iter.Seq[storage.Extent]{a.stored.Extents.General(), a.stored.Extents.Overlapping(r)} {
		for p := range stored {
			if up.Extents.Has(p) || !p.Empty() && p.Kind != layout.Part && up.Received.Contains(p.Range) {
				continue
			}
			up.Add(p)
		}
	}
	return up
}

// hold waits until no other caller holds any byte of r, and returns the function that
// releases r. A caller must not hold two ranges at once.
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
