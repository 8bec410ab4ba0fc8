package s3

import (
	"sync"
	"time"
)

const (
	// absentFor is for how long it counts that an id was not in use: as long as it takes
	// from a look to the creation that follows. Whatever happens in between, a creation
	// fails if there is a record, and a mark of deletion or a file goes before a record.
	absentFor = 5 * time.Second
	// maxAbsent is how many such ids are remembered at most.
	maxAbsent = 10_000
)

// absent remembers which ids Load has just found nothing at all of, so that Create need
// not look again. The zero value is ready to use.
type absent struct {
	mu    sync.Mutex
	since map[string]time.Time // when it was found, by id
}

// note remembers that there is nothing of an id.
func (a *absent) note(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since == nil || len(a.since) >= maxAbsent {
		a.since = map[string]time.Time{}
	}
	a.since[id] = time.Now()
}

// take reports whether it was noted a moment ago that there is nothing of an id, and
// forgets it.
func (a *absent) take(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, noted := a.since[id]
	delete(a.since, id)
	return noted && time.Since(since) < absentFor
}
