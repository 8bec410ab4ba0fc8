package hooks

import (
	"context"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// Seen is what came to be known of a request while it was served, for its line in
// the log. Whoever finds out something says so here, from any goroutine.
type RequestLog struct {
	protocol string

	mu        sync.Mutex
	id        string
	subject   string
	errorCode string
	lockWait  time.Duration
	event     storage.EventType
}

type requestLogKey struct{}

// SeenIn is what is known of the request that ctx belongs to. It is never nil: where
// there is no request, what it is told is lost.
func RequestLogFrom(ctx context.Context) *RequestLog {
	if s, ok := ctx.Value(requestLogKey{}).(*RequestLog); ok {
		return s
	}
	return &RequestLog{}
}

// Door is the name of the door that the request came through, "" if none.
func (s *RequestLog) Protocol() string { return s.protocol }

// Subject says who makes the request, as the app names him.
func (s *RequestLog) Subject(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subject = who
}

// Waited says that the request waited for a lock.
func (s *RequestLog) AddLockWait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lockWait += d
}

// Event says what the request made happen; the last event counts.
func (s *RequestLog) Event(e storage.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Local {
		s.id, s.event = e.Upload.ID, e.Type
	}
}

// failed says by which code of a Problem the request failed.
func (s *RequestLog) setErrorCode(code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errorCode = code
}
