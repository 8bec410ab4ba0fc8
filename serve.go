package holdfast

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Serve accepts connections from l and does the work of Run until ctx is done, then shuts
// down and returns nil, after timeout at the latest. The shutdown accepts no new connections,
// gives requests half of the timeout to end, cuts off the bodies of uploads, whose clients are
// asked to retry, and aborts what then still runs. Deliveries go on for as long as a request
// may still finish an upload.
//
// The http.Server is one that HTTPServer has returned; if its TLSConfig is set, Serve serves
// HTTPS. Serve closes it, and all that New has opened. If connections can no longer be accepted it shuts down in
// the same way, and returns why.
func (s *Server) Serve(ctx context.Context, server *http.Server, l net.Listener, timeout time.Duration) error {
	work, stopWork := context.WithCancel(context.Background())
	defer stopWork()
	worked := make(chan struct{})
	go func() { defer close(worked); s.Run(work) }()
	served := make(chan error, 1)
	go func() { served <- serve(server, l) }()
	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.opts.Log.Info("shutting down", "timeout", timeout)
	deadline, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	s.Drain(deadline)
	if err := server.Shutdown(deadline); err != nil {
		s.opts.Log.Warn("shutdown timeout exceeded; aborting requests", "error", err)
	}
	stopWork()
	select {
	case <-worked:
	case <-deadline.Done():
	}
	cancel()
	return errors.Join(err, server.Close(), s.Shutdown(deadline))
}

func serve(server *http.Server, l net.Listener) error {
	if server.TLSConfig != nil {
		return server.ServeTLS(l, "", "")
	}
	return server.Serve(l)
}
