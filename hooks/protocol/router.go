package protocol

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// Router routes each request to the first protocol that matches it, responds to OPTIONS
// for all of them, and logs, measures and traces each request. It applies
// X-HTTP-Method-Override first, and rejects unsupported methods. Paths that are not below
// the base path, unless a protocol claims them by Options.Outside, and those that are
// Options.Reserved go to Options.Elsewhere.
//
// What has to be done for every request is done here, and not by handlers around it: a
// chunk should pass few of them.
func Router(c CORS, o Options, protocols ...Protocol) http.Handler {
	if o.Elsewhere == nil {
		o.Elsewhere = http.NotFoundHandler()
	}
	return &router{Options: o, cors: c.handler(), exposed: c.exposed(), embeddable: slices.Contains(c.Origins, "*"), protocols: protocols}
}

type router struct {
	Options
	cors       *cors.Cors // nil if web pages may not upload
	exposed    []string   // headers that pages may read
	embeddable bool       // pages of any origin may embed responses
	protocols  []Protocol
}

// ServeHTTP implements http.Handler.
func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := rt.begin(w, r)
	defer x.end()
	rt.route(x)
	x.returned = true
}

// begin returns the Exchange of a request. A header of every response, of errors and probes
// too, is set here, by SetSecurityHeaders.
func (rt *router) begin(w http.ResponseWriter, r *http.Request) *Exchange {
	x := &Exchange{router: rt, w: w, began: time.Now(), meter: noMetrics{}}
	transport.SetSecurityHeaders(w.Header(), r, rt.embeddable)
	x.linger = transport.LimitUnreadBody(w, r, rt.IdleTimeout)
	if rt.Redact != nil {
		r, x.Tickets = rt.Redact(r)
	}
	if r.URL.Path+"/" == rt.URLs.BasePath {
		r.URL.Path = rt.URLs.BasePath
	}
	r = x.overrideMethod(r)
	x.quiet = rt.isElsewhere(r)
	if !x.quiet {
		r = x.observe(r)
	}
	x.r = r.WithContext(with(r.Context(), x))
	x.Body = transport.NewBody(w, x.r, rt.IdleTimeout, rt.Shutdown, x.meter.BytesIn)
	x.Body.UseSpools(rt.Spools)
	if r.Body != nil && r.Body != http.NoBody {
		x.r.Body = x.Body
	}
	x.snapshot = newRequest(r)
	return x
}

// isElsewhere reports whether no protocol is asked. OPTIONS * asks all of them.
func (rt *router) isElsewhere(r *http.Request) bool {
	if r.Method == http.MethodOptions && r.URL.Path == "*" {
		return false
	}
	ours := strings.HasPrefix(r.URL.Path, rt.URLs.BasePath) || rt.Outside != nil && rt.Outside(r.URL.Path)
	return !ours || rt.Reserved != nil && rt.Reserved(r.URL.Path)
}

// observe begins to measure and trace a request to an upload.
func (x *Exchange) observe(r *http.Request) *http.Request {
	x.handler = Match(x.router.protocols, r)
	if id := x.router.URLs.ID(r); storage.CheckID(id) == nil {
		x.id = id
	}
	if x.router.Metrics != nil {
		x.meter = x.router.Metrics(x.Protocol())
	}
	ctx, span := x.router.startSpan(r, x.Protocol(), x.id)
	x.span = span
	return r.WithContext(ctx)
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

// route has the request handled.
func (rt *router) route(x *Exchange) {
	if x.quiet {
		if x.r.Method != http.MethodOptions {
			rt.addCORS(x)
		}
		rt.Elsewhere.ServeHTTP(x, x.r)
		return
	}
	if x.r.Method == http.MethodOptions {
		rt.addOptionsHeaders(x.Header())
	}
	if rt.refusesOrigin(x.r) {
		x.setError(problem.CodeOrigin, slog.LevelInfo) // the browser refuses, by the headers that are missing
	}
	rt.addCORS(x)
	switch {
	case x.status != 0:
	case x.r.Method == http.MethodOptions:
		x.WriteHeader(http.StatusOK)
	case x.handler == nil:
		RejectMethod(x, x.r, allowed)
	default:
		rt.serve(x)
	}
}

// refusesOrigin reports whether r is a preflight request for a page that may not upload.
func (rt *router) refusesOrigin(r *http.Request) bool {
	preflight := r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
	return preflight && (rt.cors == nil || !rt.cors.OriginAllowed(r))
}

// serve has the request handled by its protocol, unless a guard rejects it.
func (rt *router) serve(x *Exchange) {
	for _, guard := range rt.Guards {
		if err := guard(x); err != nil {
			x.refuse(err)
			return
		}
	}
	x.handler.ServeHTTP(x, x.r)
}

func (rt *router) addOptionsHeaders(h http.Header) {
	h.Set("Allow", allowed)
	for _, p := range rt.protocols {
		p.AddOptionsHeaders(h)
	}
}

// end ends a request. It is called by a defer statement, and handles a panic of the
// handler.
func (x *Exchange) end() {
	reason := recover()
	if reason != nil {
		x.panicked(reason)
	}
	_ = x.Body.Close()
	x.report()
	if reason != nil {
		panic(http.ErrAbortHandler)
	}
	x.linger()
}

var errPanic = errors.New("a handler panicked")

// panicked logs a panic of the handler with its stack, and responds with 500. A response
// that has begun is aborted, so that it is not taken for a complete one.
func (x *Exchange) panicked(reason any) {
	if err, ok := reason.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return
	}
	x.router.Log.ErrorContext(x.r.Context(), errPanic.Error(), "reason", reason,
		"method", x.r.Method, "path", x.r.URL.Path, "stack", string(debug.Stack()))
	x.setError(problem.From(x.Protocol(), x.r.Method, errPanic).Code, slog.LevelError)
	x.BeforeHeader = nil
	if x.status == 0 {
		x.Header().Set("Content-Length", "0")
		x.WriteHeader(http.StatusInternalServerError)
		_ = http.NewResponseController(x.w).Flush()
	}
}
