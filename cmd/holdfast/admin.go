package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// admin is what only those who run the server should reach, at an address of its
// own. A nil one does nothing.
type admin struct {
	listener net.Listener
	http     *http.Server
}

// openAdmin listens for those who run the server.
func (s *Server) openAdmin() (*admin, error) {
	l, err := net.Listen("tcp", s.cfg.AdminListen)
	if err != nil {
		return nil, fmt.Errorf("listen for --admin-listen: %w", err)
	}
	return &admin{l, &http.Server{
		Handler:           s.adminRoutes(),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}}, nil
}

// adminRoutes are the URLs at the admin address.
func (s *Server) adminRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.Handler())
	mux.HandleFunc("GET /owed", s.listOwed)
	mux.HandleFunc("POST /owed/retry", s.retryOwed)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// serve answers in the background until close.
func (a *admin) serve(log *slog.Logger) {
	if a == nil {
		return
	}
	log.Info("admin listening", "addr", a.listener.Addr().String())
	go func() {
		if err := a.http.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the admin address is served no more", "error", err)
		}
	}()
}

func (a *admin) close() error {
	if a == nil {
		return nil
	}
	return errors.Join(a.http.Close(), ignoreClosed(a.listener.Close()))
}
