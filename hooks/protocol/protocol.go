// Package protocol holds what the protocols share: the routing of requests, their access
// log, the URLs of uploads, and the principal who makes a request.
//
// A Protocol parses requests and writes responses; storage.Uploads does the work.
// Protocols are independent of each other, and an upload that was created with one of
// them can be queried, continued and finished with another.
package protocol

import (
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-upload/holdfast/hooks/transport"
)

// Protocol handles the requests of one upload protocol.
type Protocol interface {
	// Name returns the name of the protocol in logs and metrics: one word.
	Name() string
	// Matches reports whether the request belongs to this protocol.
	Matches(r *http.Request) bool
	// AddOptionsHeaders sets the headers that announce the protocol in OPTIONS responses.
	AddOptionsHeaders(h http.Header)

	// ServeHTTP handles a request. Its ResponseWriter is the Exchange of the request.
	http.Handler
}

// Guard decides whether a request may go on to its protocol. If not, it returns an error,
// which is the response, and may set header fields of it.
type Guard func(x *Exchange) error

// Options are common to all protocols.
type Options struct {
	URLs URLs
	// IdleTimeout is how long a client may neither send nor receive a byte.
	IdleTimeout time.Duration
	// LockTimeout is how long a request waits for the lock of an upload.
	LockTimeout time.Duration
	Shutdown    *transport.Shutdown
	// Spools bounds what bodies take that are buffered until they are complete; nil is a
	// mebibyte of memory for each, and files without a bound.
	Spools *transport.Spools
	// Redact, if set, removes tickets from a request before it is logged, traced or passed
	// on, and returns them.
	Redact func(r *http.Request) (*http.Request, Tickets)
	// Guards are called in their order, before the protocol handles a request.
	Guards []Guard
	// NoInterimResponses forbids responses before the final one, other than 100.
	NoInterimResponses bool
	// TicketIssuer, if set, adds tickets to the URLs of uploads.
	TicketIssuer TicketIssuer
	// Elsewhere handles requests that are not below the base path; nil responds 404. They
	// are not logged unless they are refused.
	Elsewhere http.Handler
	// Reserved, if set, reports whether a path is for Elsewhere although it may be below the
	// base path.
	Reserved func(path string) bool
	// Outside, if set, reports whether a path that is not below the base path is one of a
	// protocol nevertheless.
	Outside func(path string) bool
	Log     *slog.Logger
	// Metrics, if set, measures the requests of a protocol, "" if none matched.
	Metrics func(protocol string) RequestMetrics
	// Tracer, if set, traces each request.
	Tracer trace.Tracer
}
