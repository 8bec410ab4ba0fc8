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

	"github.com/rs/cors"
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

	http.Handler
}

// Options are common to all protocols.
type Options struct {
	URLs URLs
	// IdleTimeout is how long a client may neither send nor receive a byte.
	IdleTimeout time.Duration
	// LockTimeout is how long a request waits for the lock of an upload.
	LockTimeout time.Duration
	Shutdown    *transport.Shutdown
	// Spools bounds what bodies take that are buffered until they are complete; nil is no
	// bound.
	Spools *transport.Spools
	// TicketIssuer, if set, adds tickets to the URLs of uploads.
	TicketIssuer TicketIssuer
	Log          *slog.Logger
	// Metrics, if set, measures the requests of a protocol, "" if none matched.
	Metrics func(protocol string) RequestMetrics
	// Tracer, if set, traces each request.
	Tracer trace.Tracer
}

// CORS configures which web pages may upload from a browser.
type CORS struct {
	// Origins lists the allowed origins, such as "https://app.example.com"; "*" allows
	// all. An empty list turns CORS off.
	Origins []string
	// Credentials allows cookies. It requires explicit Origins.
	Credentials bool
}

// Router routes each request to the first protocol that matches it, responds to OPTIONS
// for all of them, and logs, measures and traces each request. It applies
// X-HTTP-Method-Override first, and rejects unsupported methods. Code that runs within a
// request can use RequestOf and OverrideResponse.
func Router(c CORS, o Options, protocols ...Protocol) http.Handler {
	return methodOverride(o.accessLog(protocols, c.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions {
			writeOptions(w, protocols)
			return
		}
		if p := Match(protocols, r); p != nil {
			ctx, w := withResponseOverride(WithRequest(r.Context(), r), w, r.Method)
			*r = *r.WithContext(ctx) // in place, so that the access log sees changes to r
			p.ServeHTTP(w, r)
			return
		}
		RejectMethod(w, r, allowed)
	}))))
}

// Match returns the protocol of a request: the first that matches it, nil if there is none.
// That depends only on the method, the URL and the header.
func Match(protocols []Protocol, r *http.Request) Protocol {
	if r.Method == http.MethodOptions || !supportedMethod(r) {
		return nil
	}
	for _, p := range protocols {
		if p.Matches(r) {
			return p
		}
	}
	return nil
}

func writeOptions(w http.ResponseWriter, protocols []Protocol) {
	w.Header().Set("Allow", allowed)
	for _, p := range protocols {
		p.AddOptionsHeaders(w.Header())
	}
	// Not 204: some browsers accept only 200 for a preflight request.
	w.WriteHeader(http.StatusOK)
}

func (c CORS) wrap(next http.Handler) http.Handler {
	if len(c.Origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: c.Origins,
		AllowedMethods: methods,
		AllowedHeaders: []string{"*"},
		ExposedHeaders: []string{
			"Location", "Range", "Content-Range", "Content-Disposition", "Accept-Ranges", "ETag", "Repr-Digest", "Retry-After", "WWW-Authenticate",
			"Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm",
			"Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Concat", "Upload-Expires",
			"Upload-Complete", "Upload-Incomplete", "Upload-Limit", "Upload-Draft-Interop-Version", "Accept-Patch",
		},
		AllowCredentials:   c.Credentials,
		MaxAge:             int((24 * time.Hour).Seconds()),
		OptionsPassthrough: true,
	}).Handler(next)
}
