package holdfast

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/hooks/contentrange"
	"github.com/holdfast-upload/holdfast/hooks/google"
	"github.com/holdfast-upload/holdfast/hooks/graph"
	"github.com/holdfast-upload/holdfast/hooks/ietf"
	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/tus"
	"github.com/holdfast-upload/holdfast/storage"
)

// ServeHTTP implements http.Handler: uploads and the page below Options.BasePath, the paths of
// Options.GoogleUploads and GraphUploads, /healthz and /readyz.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	defer s.requests.Done()
	s.handler.ServeHTTP(w, r)
}

// HTTPServer returns an http.Server for s with the limits that uploads need: HTTP/1.1
// and HTTP/2, also without TLS, no limit to the duration of a request, and room for
// many streams of one connection at once.
func (s *Server) HTTPServer() *http.Server {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute, // between the requests of a connection
		MaxHeaderBytes:    1 << 20,
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelWarn),
		Protocols:         &http.Protocols{},
		// net/http would answer "OPTIONS *" without the limits of uploads.
		DisableGeneralOptionsHandler: true,
		// A client that queues all its chunks sends them over one connection. A stream
		// that is not being read fills its own buffer, and must not fill that of the
		// connection, which would stop all others: 64 streams may stand still.
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          250,
			MaxReceiveBufferPerStream:     1 << 20,
			MaxReceiveBufferPerConnection: 64 << 20,
			WriteByteTimeout:              s.opts.IdleTimeout,
		},
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return server
}

// elsewhere handles requests that are not below the base path.
func (s *Server) elsewhere(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.page != nil && s.page.Serves(r.URL.Path):
		s.page.ServeHTTP(w, r)
	case isProbe(r.URL.Path) && !probes(r.Method):
		protocol.RejectMethod(w, r, "OPTIONS, GET, HEAD")
	case r.URL.Path == "/healthz":
		fmt.Fprintln(w, "ok")
	case r.URL.Path == "/readyz":
		s.serveReady(w, r)
	default:
		http.Error(w, "Nothing is here. Uploads are below "+s.opts.BasePath+".", http.StatusNotFound)
	}
}

// servesOutside reports whether a path outside of the base path is one of a protocol.
func (s *Server) servesOutside(path string) bool {
	return s.opts.GoogleUploads && google.ServesPath(path) || s.opts.GraphUploads && graph.ServesPath(path)
}

// isReserved reports whether path is one that is answered by elsewhere, although it may be
// below the base path.
func (s *Server) isReserved(path string) bool {
	return isProbe(path) || s.page != nil && s.page.Serves(path)
}

// isProbe reports whether path is that of a probe, where no upload can be.
func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" }

// probes reports whether a load balancer probes with this method; HAProxy does with
// OPTIONS.
func probes(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// routes returns the handler of all URLs. It is not an http.ServeMux, because that
// redirects paths that are not clean, and an upload client follows a redirect by sending
// its body again, or not at all.
func (s *Server) routes() (http.Handler, error) {
	opts := s.protocolOptions()
	protocols, err := protocolsOf(s.uploads, opts, s.opts.GoogleUploads, s.opts.GraphUploads)
	if err != nil {
		return nil, err
	}
	return protocol.Router(s.opts.CORS, opts, protocols...), nil
}

// protocolsOf returns the protocols. A request belongs to the first one that matches it: to
// Google's and Microsoft's by its URL, to the others by its headers.
func protocolsOf(uploads *storage.Uploads, opts protocol.Options, withGoogle, withGraph bool) ([]protocol.Protocol, error) {
	tusHandler, err := tus.New(uploads, opts)
	if err != nil {
		return nil, fmt.Errorf("tus: %w", err)
	}
	ranged := contentrange.New(uploads, opts)
	var protocols []protocol.Protocol
	if withGoogle {
		protocols = append(protocols, google.New(uploads, ranged, opts))
	}
	if withGraph {
		protocols = append(protocols, graph.New(uploads, opts, ranged.RespondSession))
	}
	return append(protocols, ietf.New(uploads, opts, ranged.Respond), ranged, tusHandler), nil
}

func (s *Server) protocolOptions() protocol.Options {
	opts := protocol.Options{
		URLs:               s.opts.Limits.URLs,
		IdleTimeout:        s.opts.IdleTimeout,
		LockTimeout:        s.opts.LockTimeout,
		NoInterimResponses: s.opts.NoInterimResponses,
		Shutdown:           s.shutdown,
		Spools:             s.opts.Spools,
		Elsewhere:          http.HandlerFunc(s.elsewhere),
		Reserved:           s.isReserved,
		Outside:            s.servesOutside,
		Log:                s.opts.Log,
		Metrics:            s.console.Measure(s.opts.Metrics),
		Tracer:             s.opts.Tracer,
	}
	if s.auth != nil {
		opts.TicketIssuer = s.auth.TicketIssuer()
		opts.Redact = auth.RedactTickets
		opts.Guards = append(opts.Guards, s.auth.Authenticate)
	}
	opts.Guards = append(opts.Guards, s.limits.Begin)
	return opts
}

// Ready returns nil if the server takes uploads now. It fails during a shutdown and
// while the store does not answer.
func (s *Server) Ready(ctx context.Context) error {
	if s.draining.Load() {
		return problem.ErrShuttingDown
	}
	return s.uploads.Check(ctx)
}

// Drain begins a shutdown without waiting for it: Ready fails from now on, and the
// bodies of uploads are cut off halfway to the deadline of ctx, if it has one.
func (s *Server) Drain(ctx context.Context) {
	if s.draining.Swap(true) {
		return
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return
	}
	time.AfterFunc(time.Until(deadline)/2, func() {
		s.opts.Log.Info("shutdown: cutting off the uploads that still run")
		s.shutdown.Begin()
	})
}

// serveReady answers 200, or 503 and the reason. A store that works without something
// it should have, such as a cache that others share, is ready, and says so.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	err := s.readyNow(r.Context())
	status, answer := http.StatusOK, map[string]any{"ready": err == nil}
	switch {
	case errors.Is(err, problem.ErrShuttingDown):
		status, answer["reason"] = http.StatusServiceUnavailable, err.Error()
	case err != nil:
		s.opts.Log.WarnContext(r.Context(), "not ready", "error", err)
		status, answer["reason"] = http.StatusServiceUnavailable, "the store takes no uploads now"
	case s.opts.Degraded != nil && s.opts.Degraded(r.Context()) != nil:
		answer["degraded"] = "Redis does not answer: this node goes on without it"
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}
