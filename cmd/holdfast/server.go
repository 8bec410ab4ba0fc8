package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast"
	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks/admin"
	"github.com/holdfast-upload/holdfast/hooks/transport"
)

// Server is a holdfast.Server with its listeners. Create it with Open, then call Run or
// Close.
type Server struct {
	*holdfast.Server
	settings
	cfg      config.Config
	listener net.Listener
	http     *http.Server
	admin    *http.Server // nil without --admin-listen
	adminAt  net.Listener
	closing  sync.Once
	closeErr error
}

// Open opens the store and listens. Connections are served from Run on.
func Open(cfg config.Config, log *slog.Logger) (*Server, error) {
	s := &Server{cfg: cfg}
	if err := s.open(cfg, log); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open(cfg config.Config, log *slog.Logger) (err error) {
	if err = s.settings.open(cfg, log); err != nil {
		return err
	}
	if s.Server, err = holdfast.New(s.options); err != nil {
		return err
	}
	s.server = s.Server
	return s.listen()
}

// listen binds the addresses, without serving yet.
func (s *Server) listen() (err error) {
	s.http = s.HTTPServer()
	if s.cfg.TLSCert != "" {
		if s.http.TLSConfig, err = transport.TLSConfig(s.cfg.TLSCert, s.cfg.TLSKey, s.log); err != nil {
			return err
		}
	}
	if s.listener, err = net.Listen("tcp", s.cfg.Listen); err != nil || s.cfg.AdminListen == "" {
		return err
	}
	if s.adminAt, err = net.Listen("tcp", s.cfg.AdminListen); err != nil {
		return fmt.Errorf("--admin-listen: %w", err)
	}
	s.admin = &http.Server{Handler: s.adminRoutes(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: s.http.ErrorLog}
	return nil
}

// adminRoutes returns the handler of the admin address. It lacks pprof.Cmdline: settings on
// the command line may be secrets.
func (s *Server) adminRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.AdminHandler())
	mux.Handle("GET /metrics", s.metrics.Handler())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return admin.Guard(mux, s.cfg.AdminListen, s.cfg.AdminHosts...)
}

// URL is where uploads are created, from this machine.
func (s *Server) URL() string {
	scheme := "http"
	if s.cfg.TLSCert != "" {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(s.listener.Addr().String())
	if net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + s.cfg.BasePath
}

// Run serves until ctx is done, shuts down as holdfast.Server.Serve does, and closes the
// Server.
func (s *Server) Run(ctx context.Context) error {
	if s.admin != nil {
		s.log.Info("admin listening", "addr", s.adminAt.Addr().String())
		go func() {
			if err := s.admin.Serve(s.adminAt); !errors.Is(err, http.ErrServerClosed) {
				s.log.Error("admin server stopped", "error", err)
			}
		}()
	}
	end, cancel := context.WithCancel(context.Background())
	defer cancel()
	limit := func() { time.AfterFunc(s.cfg.ShutdownTimeout, cancel) }
	context.AfterFunc(ctx, limit)
	s.log.Info("listening", "addr", s.listener.Addr().String(), "url", s.URL(), "store", s.stores.Name, "version", version())
	err := s.Serve(ctx, s.http, s.listener, s.cfg.ShutdownTimeout)
	if ctx.Err() == nil {
		limit() // connections could no longer be accepted
	}
	s.tracing.Close(end)
	s.log.Info("stopped")
	return errors.Join(err, s.Close())
}

// Close stops the Server at once and aborts its requests. It may be called more than once.
func (s *Server) Close() error {
	s.closing.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Server) close() error {
	var errs []error
	for _, l := range []net.Listener{s.listener, s.adminAt} {
		if l != nil {
			errs = append(errs, ignoreClosed(l.Close()))
		}
	}
	for _, h := range []*http.Server{s.http, s.admin} {
		if h != nil {
			errs = append(errs, ignoreClosed(h.Close()))
		}
	}
	if s.Server != nil {
		done, cancel := context.WithCancel(context.Background())
		cancel()
		errs = append(errs, s.Shutdown(done))
	}
	return errors.Join(append(errs, s.stores.Close())...)
}

// ignoreClosed returns err, or nil if the listener was closed already.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
