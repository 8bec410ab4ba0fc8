package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/hooks/contentrange"
	"github.com/holdfast-upload/holdfast/hooks/tus"
)

// newHTTP makes the HTTP server, in clear or over TLS, each with HTTP/1.1 and
// HTTP/2. There is no limit to how long a request takes: an upload over a bad
// line takes hours. The doors watch that bytes keep coming.
func (s *Server) newHTTP() (*http.Server, error) {
	handler, err := s.routes()
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Handler:           survivePanics(s.log, hooks.Hurry(s.cfg.IdleTimeout, hooks.Secure(s.cors(), handler))),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute, // between the requests of a connection
		MaxHeaderBytes:    1 << 20,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		Protocols:         &http.Protocols{},
		// A client that queues all its chunks sends them over one connection. One
		// that is not being read fills its stream's buffer, and must not fill the
		// connection's, which would stop all others: 64 of them may stand still.
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          250,
			MaxReceiveBufferPerStream:     1 << 20,
			MaxReceiveBufferPerConnection: 64 << 20,
			WriteByteTimeout:              s.cfg.IdleTimeout,
		},
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	if s.cfg.TLSCert != "" {
		server.TLSConfig, err = tlsConfig(s.cfg.TLSCert, s.cfg.TLSKey, s.log)
	}
	return server, err
}

// routes is the whole tree of URLs. It is no http.ServeMux, because that redirects
// paths that it would rather have otherwise, and upload clients follow a redirect
// with the body once more, or not at all.
func (s *Server) routes() (http.Handler, error) {
	uploads, err := s.doors()
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case isProbe(r.URL.Path) && !probes(r.Method):
			hooks.RefuseMethod(w, r, "OPTIONS, GET, HEAD")
		case r.URL.Path == "/healthz":
			fmt.Fprintln(w, "ok")
		case r.URL.Path == "/readyz":
			s.ready(w, r)
		case r.URL.Path+"/" == s.cfg.BasePath:
			r.URL.Path = s.cfg.BasePath
			uploads.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, s.cfg.BasePath):
			uploads.ServeHTTP(w, r)
		default:
			http.Error(w, "Nothing is here. Uploads are below "+s.cfg.BasePath+".", http.StatusNotFound)
		}
	}), nil
}

// isProbe tells whether path is one that tells of the server, where no upload can be,
// whatever the base path is.
func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" }

// probes tells whether somebody asks with this method how the server is; HAProxy does so
// with OPTIONS.
func probes(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

func (s *Server) doors() (http.Handler, error) {
	opts := hooks.Options{
		URLs:        hooks.URLs{BasePath: s.cfg.BasePath, TrustForwarded: s.cfg.ForwardedHeaders},
		IdleTimeout: s.cfg.IdleTimeout,
		LockTimeout: s.cfg.LockTimeout,
		Stopper:     s.stopper,
		Ticketer:    s.access.ticketer(),
		Log:         s.log,
		Watch:       func(door string) hooks.Meter { return s.metrics.Request(door) },
		Tracer:      s.tracing.tracer(),
	}
	tusDoor, err := tus.New(s.uploads, opts)
	if err != nil {
		return nil, fmt.Errorf("open the tus door: %w", err)
	}
	// First, because a Content-Range decides, whatever else the request says.
	rangeDoor := contentrange.New(s.uploads, opts)
	return s.access.hide(hooks.Router(s.cors(), opts, s.access.door(rangeDoor), s.access.door(tusDoor))), nil
}

func (s *Server) cors() hooks.CORS {
	return hooks.CORS{Origins: s.cfg.CORSOrigins, Credentials: s.cfg.CORSCredentials}
}

// ready tells a load balancer whether to send clients here: 200, or 503 and why not.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	err := s.uploads.Check(r.Context())
	if s.leaving.Load() {
		err = hooks.ErrStopping
	}
	status, answer := http.StatusOK, map[string]any{"ready": err == nil}
	switch {
	case errors.Is(err, hooks.ErrStopping):
		status, answer["reason"] = http.StatusServiceUnavailable, err.Error()
	case err != nil:
		s.log.WarnContext(r.Context(), "not ready", "error", err)
		status, answer["reason"] = http.StatusServiceUnavailable, "the store takes no uploads now"
	case s.backend.degraded(r.Context()):
		answer["degraded"] = "Redis does not answer: this node goes on without it"
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// survivePanics logs a panic of a handler with its stack, and answers 500 unless
// an answer has begun: that is broken off, lest it be taken for a whole one.
func survivePanics(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			reason := recover()
			if reason == nil {
				return
			}
			if err, ok := reason.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				log.ErrorContext(r.Context(), "a handler panicked", "reason", reason,
					"method", r.Method, "path", r.URL.Path, "stack", string(debug.Stack()))
				w.Header().Set("Content-Length", "0")
				w.WriteHeader(http.StatusInternalServerError)
				_ = http.NewResponseController(w).Flush()
			}
			panic(http.ErrAbortHandler)
		}()
		next.ServeHTTP(w, r)
	})
}
