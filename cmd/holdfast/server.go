package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/hooks/webhook"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/observed"
)

// Server is a whole holdfast: the store, the doors to it, and the address at
// which they are found. Create it with Open, then call Run or Close.
type Server struct {
	cfg      config.Config
	log      *slog.Logger
	backend  backend
	access   *access
	uploads  *storage.Uploads
	hooks    *webhook.App // nil if nobody is told of anything
	stopper  *hooks.Stopper
	listener net.Listener
	http     *http.Server
	admin    *admin // nil if there is none
	metrics  *observed.Metrics
	tracing  *tracing
	leaving  atomic.Bool // a shutdown has begun
}

// Open opens the store and listens. Connections are served from Run on.
func Open(cfg config.Config, log *slog.Logger) (*Server, error) {
	s := &Server{cfg: cfg, log: log, stopper: hooks.NewStopper(), metrics: observed.New(version())}
	name, err := nameFiles(cfg.KeyTemplate)
	if err != nil {
		return nil, err
	}
	if s.tracing, err = openTracing(cfg, log); err != nil {
		return nil, err
	}
	if s.backend, err = openBackend(cfg, log, s.metrics); err != nil {
		return nil, err
	}
	if s.access, err = openAccess(cfg, s.backend, log); err != nil {
		return nil, errors.Join(err, s.backend.close())
	}
	if err := s.open(name); err != nil {
		return nil, errors.Join(err, s.backend.close())
	}
	return s, nil
}

// open puts the core, the hooks and the doors together, and listens.
func (s *Server) open(name admit) (err error) {
	opts := storage.Options{
		MaxSize:          int64(s.cfg.MaxSize),
		ExpireAfter:      s.cfg.ExpireAfter,
		RememberFinished: s.cfg.RememberFinished,
		Notify:           tellEach(tellEvents(s.log, s.metrics), s.access.limits.Notify),
		Swept:            s.metrics.Swept,
		Permit:           s.access.permit(),
		Log:              s.log,
	}
	if s.hooks, err = s.openHooks(); err != nil {
		return err
	}
	if s.hooks != nil {
		s.hooks.Join(&opts)
		s.observeHooks()
	}
	// The app may choose an id and a key; and what it refuses is not to count.
	opts.Admit = inTurn(auth.Admit, opts.Admit, name, s.access.limits.Admit)
	opts.Withdrawn = s.access.limits.Withdrawn
	s.uploads = storage.New(s.backend.store, s.backend.locker, s.backend.index, opts)
	return s.listen()
}

// listen takes the addresses, without answering there yet.
func (s *Server) listen() (err error) {
	if s.http, err = s.newHTTP(); err != nil {
		return err
	}
	if s.listener, err = net.Listen("tcp", s.cfg.Listen); err != nil || s.cfg.AdminListen == "" {
		return err
	}
	if s.admin, err = s.openAdmin(); err != nil {
		return errors.Join(err, s.listener.Close())
	}
	return nil
}

// Close lets go of a Server at once, without regard to running requests.
func (s *Server) Close() error {
	s.access.close()
	return errors.Join(s.http.Close(), ignoreClosed(s.listener.Close()), s.admin.close(), s.backend.close())
}

// ignoreClosed is err unless it says that a listener was closed before.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// URL is where uploads are created, as seen from this machine.
func (s *Server) URL() string {
	scheme := "http"
	if s.cfg.TLSCert != "" {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(s.Addr().String())
	if net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + s.cfg.BasePath
}

// Run serves until ctx is done, then shuts down in an orderly way: no new
// connections, and running requests get half of the shutdown timeout to end by
// themselves. After it the bodies of uploads are cut off: what came of them is
// stored, and their clients are told to come back. At the timeout Run returns,
// whatever still goes on. It closes the Server.
func (s *Server) Run(ctx context.Context) error {
	sweeping, stopSweeping := context.WithCancel(context.Background())
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		s.uploads.Run(sweeping, s.cfg.SweepEvery)
	}()
	telling, stopTelling := context.WithCancel(context.Background())
	defer stopTelling()
	told := s.runHooks(telling)
	served := make(chan error, 1)
	go func() { served <- s.serve() }()
	s.admin.serve(s.log)
	s.log.Info("listening", "addr", s.Addr().String(), "url", s.URL(), "store", s.backend.name, "version", version())

	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serve: %w", err)
		stopSweeping()
	case <-ctx.Done():
		s.log.Info("shutting down", "timeout", s.cfg.ShutdownTimeout)
		stopSweeping()
		s.drain(swept, told, stopTelling)
	}
	s.log.Info("stopped")
	return errors.Join(err, s.Close())
}

func (s *Server) serve() error {
	if s.http.TLSConfig != nil {
		return s.http.ServeTLS(s.listener, "", "")
	}
	return s.http.Serve(s.listener)
}

// drain waits until the requests and the sweep have ended, and then what is being told
// of them, and sees to it that they do.
func (s *Server) drain(swept, told <-chan struct{}, stopTelling func()) {
	deadline, cancel := context.WithTimeout(context.Background(), s.cfg.ShutdownTimeout)
	defer cancel()
	s.leaving.Store(true)
	cut := time.AfterFunc(s.cfg.ShutdownTimeout/2, func() {
		s.log.Info("cutting off the uploads that still run")
		s.stopper.Stop()
	})
	defer cut.Stop()
	if err := s.http.Shutdown(deadline); err != nil {
		s.log.Warn("the shutdown timeout has passed: requests that still run are cut off", "error", err)
	}
	stopTelling()
	for _, ended := range []<-chan struct{}{swept, told} {
		select {
		case <-ended:
		case <-deadline.Done():
		}
	}
	s.tracing.close(deadline)
}

// serve runs a Server with these settings until ctx is done.
func serve(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	s, err := Open(cfg, log)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}
