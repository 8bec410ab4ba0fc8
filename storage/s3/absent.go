package s3

import (
	"sync"
	"time"
)

const (
	// absentTTL is how long Load's finding that an id is unused is trusted: long enough for
	// the creation that follows. This is safe whatever happens in between: a creation
	// fails if there is a record, and a tombstone or a file is written before a record.
	absentTTL = 5 * time.Second
	// maxAbsent is the maximum number of ids that are remembered.
	maxAbsent = 10_000
)

// absent remembers the ids for which Load has just found no object, so that Create need
// not list them again. The zero value is ready to use.
type absent struct {
	mu    sync.Mutex
	since map[string]time.Time // time of the Load, by id
}

// add records that there are no objects for id.
func (a *absent) add(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since == nil || len(a.since) >= maxAbsent {
		a.since = map[string]time.Time{}
	}
	a.since[id] = time.Now()
}

// take reports whether id was added within absentTTL, and forgets it.
func (a *absent) take(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, known := a.since[id]
	delete(a.since, id)
	return known && time.Since(since) < absentTTL
}
