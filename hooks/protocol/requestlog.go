package protocol

import (
	"context"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// RequestLog collects facts about a request for its line in the access log. It may be
// used from any goroutine.
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

// RequestLogFrom returns the RequestLog of the request that ctx belongs to. It is never
// nil: outside of requests, what is added to it is discarded.
func RequestLogFrom(ctx context.Context) *RequestLog {
	if s, ok := ctx.Value(requestLogKey{}).(*RequestLog); ok {
		return s
	}
	return &RequestLog{}
}

// Protocol returns the name of the protocol of the request, "" if none matched.
func (s *RequestLog) Protocol() string { return s.protocol }

// Subject sets the subject of the principal.
func (s *RequestLog) Subject(subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subject = subject
}

// AddLockWait adds time that the request waited for a lock.
func (s *RequestLog) AddLockWait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lockWait += d
}

// Event sets an event that the request caused; the last one wins.
func (s *RequestLog) Event(e storage.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Local {
		s.id, s.event = e.Upload.ID, e.Type
	}
}

// setErrorCode sets the code of the problem with which the request failed.
func (s *RequestLog) setErrorCode(code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errorCode = code
}
