package protocol

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// Exchange is a request and its response. The Router puts it into the context of the
// request, where the core's policies and observers find it too; nothing else of hooks is in
// there. It is the http.ResponseWriter of handlers, and has the only reader of the body.
//
// What a program adds to it outside of requests is discarded; see ExchangeOf.
type Exchange struct {
	// Body is the body of the request. The Router closes it.
	Body *transport.Body
	// Tickets are the tickets that Options.Redact has removed from the request.
	Tickets Tickets
	// Quota is what Options.Guards know of the request, to be used in policies.
	Quota any
	// State is what the protocol knows of the request, for code that gets only a context.
	State any
	// BeforeHeader, if set, is called once before the header of the response is written.
	// It may change the header, and returns the status.
	BeforeHeader func(status int) int

	router    *router
	w         http.ResponseWriter // of net/http
	r         *http.Request       // as passed to the handler
	handler   Protocol            // nil if none matched
	snapshot  Request
	principal *Principal
	linger    func()
	began     time.Time
	span      trace.Span
	meter     RequestMetrics
	quiet     bool // a request that is logged and measured only if it is refused
	returned  bool // the handler has not panicked

	response

	mu        sync.Mutex
	id        string
	subject   string
	errorCode string
	level     slog.Level // of the line in the access log
	lockWait  time.Duration
	event     storage.EventType
	override  ResponseOverride
}

// Tickets are the tickets of a request, wherever they were.
type Tickets struct{ InURL, InHeader []string }

type exchangeKey struct{}

// ExchangeOf returns the Exchange of the request that ctx belongs to. It is never nil:
// outside of requests it is an empty one, for this call only.
func ExchangeOf(ctx context.Context) *Exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*Exchange); ok {
		return x
	}
	return &Exchange{}
}

// with puts an Exchange into a context.
func with(ctx context.Context, x *Exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

// Request returns the request as it is passed to the protocol.
func (x *Exchange) Request() *http.Request { return x.r }

// Protocol returns the name of the protocol of the request, "" if none matched.
func (x *Exchange) Protocol() string {
	if x.handler == nil {
		return ""
	}
	return x.handler.Name()
}

// AddLockWait adds time that the request waited for a lock.
func (x *Exchange) AddLockWait(d time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lockWait += d
}

// Event sets an event that the request caused; the last one wins.
func (x *Exchange) Event(e storage.Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e.Local {
		x.id, x.event = e.Upload.ID, e.Type
	}
}

// AdmitVerified is for storage.Policy.BeforeCreate: it verifies the digests of a body that
// is sent with the creation of an upload; see transport.Body.Admit.
func AdmitVerified(ctx context.Context, rec *storage.Record) error {
	return ExchangeOf(ctx).Body.Admit(rec)
}
