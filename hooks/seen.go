package hooks

import (
	"context"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// Seen is what came to be known of a request while it was served, for its line in
// the log. Whoever finds out something says so here, from any goroutine.
type Seen struct {
	door string

	mu      sync.Mutex
	id      string
	subject string
	why     string
	waited  time.Duration
	event   storage.EventType
}

type seenKey struct{}

// SeenIn is what is known of the request that ctx belongs to. It is never nil: where
// there is no request, what it is told is lost.
func SeenIn(ctx context.Context) *Seen {
	if s, ok := ctx.Value(seenKey{}).(*Seen); ok {
		return s
	}
	return &Seen{}
}

// Door is the name of the door that the request came through, "" if none.
func (s *Seen) Door() string { return s.door }

// Subject says who makes the request, as the app names him.
func (s *Seen) Subject(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subject = who
}

// Waited says that the request waited for a lock.
func (s *Seen) Waited(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waited += d
}

// Event says what the request made happen; the last event counts.
func (s *Seen) Event(e storage.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Fresh {
		s.id, s.event = e.Upload.ID, e.Type
	}
}

// failed says by which code of a Problem the request failed.
func (s *Seen) failed(code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why = code
}
