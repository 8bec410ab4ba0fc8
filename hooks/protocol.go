// Package hooks is what the doors share: how a request finds its door, where an
// upload's URL leads, what an error means in HTTP, and how a body is read from a
// client that may fall silent.
//
// A door parses requests of one protocol and prints its answers; storage.Uploads
// acts. Doors know nothing of each other, and an upload made at one of them can
// be watched, continued and finished at another.
package hooks

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/rs/cors"
	"go.opentelemetry.io/otel/trace"
)

// Door serves one protocol.
type Protocol interface {
	// Name is what the door is called in logs and metrics: one word.
	Name() string
	// Claims tells whether the request speaks this door's protocol.
	Matches(r *http.Request) bool
	// Advertise sets the headers by which an OPTIONS answer tells of the protocol.
	AddOptionsHeaders(h http.Header)

	http.Handler
}

// Options is what every door needs besides the core.
type Options struct {
	URLs URLs
	// IdleTimeout is how long a client may send, or take, nothing.
	IdleTimeout time.Duration
	// LockTimeout is how long a request waits for another of the same upload to end.
	LockTimeout time.Duration
	Shutdown    *Shutdown
	// Ticketer, if set, gives the URLs of uploads a ticket.
	TicketIssuer TicketIssuer
	Log          *slog.Logger
	// Watch measures the requests at a door, "" for those at none, if set.
	Metrics func(door string) RequestMetrics
	// Tracer begins the trace of each request, if set.
	Tracer trace.Tracer
}

// CORS says which web pages may use the doors from a browser.
type CORS struct {
	// Origins are the allowed ones, such as "https://app.example.com"; "*" allows
	// every page. None turns CORS off.
	Origins []string
	// Credentials lets the pages send cookies. It goes with named Origins only.
	Credentials bool
}

// Router hands each request to the first of the doors that claims it, answers
// OPTIONS for all of them, and makes each request known. A request has the method that
// it means by then, and no door sees one that is not known. What doors do in the course
// of a request knows it by RequestOf, and may Amend its answer.
func Router(c CORS, o Options, doors ...Protocol) http.Handler {
	return methodOverride(o.accessLog(doors, c.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions {
			writeOptions(w, doors)
			return
		}
		if door := match(doors, r); door != nil {
			ctx, w := withResponseOverride(WithRequest(r.Context(), r), w, r.Method)
			*r = *r.WithContext(ctx) // a door's changes are seen by whoever logs r
			door.ServeHTTP(w, r)
			return
		}
		RejectMethod(w, r, allowed)
	}))))
}

// claimant is the door for a request, nil if there is none.
func match(doors []Protocol, r *http.Request) Protocol {
	if r.Method == http.MethodOptions || !supportedMethod(r) {
		return nil
	}
	for _, door := range doors {
		if door.Matches(r) {
			return door
		}
	}
	return nil
}

func writeOptions(w http.ResponseWriter, doors []Protocol) {
	w.Header().Set("Allow", allowed)
	for _, door := range doors {
		door.AddOptionsHeaders(w.Header())
	}
	// Not 204: some browsers take only 200 for a preflight that succeeded.
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
			"Location", "Range", "Content-Range", "Content-Disposition", "Accept-Ranges", "ETag", reprDigest, "Retry-After", "WWW-Authenticate",
			"Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm",
			"Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Concat", "Upload-Expires",
		},
		AllowCredentials:   c.Credentials,
		MaxAge:             int((24 * time.Hour).Seconds()),
		OptionsPassthrough: true,
	}).Handler(next)
}
