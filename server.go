package holdfast

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/hooks/console"
	"github.com/holdfast-upload/holdfast/hooks/limits"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/hooks/uploadpage"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/disk"
)

// Server serves uploads. It is an http.Handler. Create it with New, and call Run for
// the work between requests: sweeps and deliveries.
type Server struct {
	opts     Options
	uploads  *storage.Uploads
	auth     *auth.Auth // nil if no credentials are asked for
	limits   *limits.Limiter
	shutdown *transport.Shutdown
	handler  http.Handler
	page     *uploadpage.Page // nil without Options.UploadPage
	console  *console.Console

	ready      readiness
	draining   atomic.Bool // Shutdown has begun
	requests   sync.WaitGroup
	closeStore func() error
	closed     func() error // closes what New has opened, once
}

// New returns a Server. It fails if an option is wrong or the directory of the disk
// store cannot be used.
func New(opts Options) (*Server, error) {
	opts.setDefaults()
	if !strings.HasPrefix(opts.BasePath, "/") || !strings.HasSuffix(opts.BasePath, "/") {
		return nil, fmt.Errorf("base path %q does not begin and end with \"/\"", opts.BasePath)
	}
	s := &Server{opts: opts, shutdown: transport.NewShutdown(), limits: limits.New(opts.Limits), closeStore: func() error { return nil }}
	if opts.UploadPage {
		s.page = uploadpage.New(opts.BasePath)
	}
	if opts.Auth.Enabled() {
		var err error
		if s.auth, err = auth.New(opts.Auth); err != nil {
			return nil, err
		}
	}
	s.closed = sync.OnceValue(s.close)
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.closed())
	}
	return s, nil
}

// open opens the store, the core and the handlers.
func (s *Server) open() error {
	if s.opts.Store == nil {
		store, err := disk.Open(s.opts.Dir, disk.Options{})
		if err != nil {
			return fmt.Errorf("open the store: %w", err)
		}
		s.opts.Store, s.closeStore = store, store.Close
	}
	s.console = s.newConsole()
	s.uploads = storage.New(s.opts.Store, s.opts.Locker, s.opts.Cache, storage.Options{
		MaxSize:          s.opts.MaxSize,
		ExpireAfter:      s.opts.ExpireAfter,
		RememberFinished: s.opts.RememberFinished,
		Policy:           s.policy(),
		Observer:         storage.Observers(storage.Observer{Event: s.logEvent}, s.opts.Observer, storage.Observer{Event: s.limits.OnEvent}, s.console.Observer()),
		Delivery:         s.opts.Delivery,
		Log:              s.opts.Log,
	})
	handler, err := s.routes()
	s.handler = handler
	return err
}

// policy puts the policies in their order: who it is; what the program says, which may
// choose an id and a key; and the limits, so that what was rejected before does not
// count. Without credentials and limits there is no Authorize, which saves the core
// loads of uploads.
func (s *Server) policy() storage.Policy {
	of := storage.Policy{BeforeCreate: auth.BeforeCreate}
	if s.auth != nil {
		of.Authorize = auth.Authorize
	}
	key := storage.Policy{BeforeCreate: s.setKey}
	counted := storage.Policy{BeforeCreate: s.limits.BeforeCreate, CreateFailed: s.limits.CreateFailed}
	if s.auth != nil || s.limits.Enabled() {
		counted.Authorize = s.limits.Authorize
	}
	verified := storage.Policy{BeforeCreate: protocol.AdmitVerified}
	return storage.Policies(of, s.opts.Policy, key, verified, counted)
}

// setKey gives an upload its key unless it has one, or exists only to be concatenated.
func (s *Server) setKey(_ context.Context, rec *storage.Record) error {
	if s.opts.Key != nil && rec.Key == "" && !rec.Partial {
		rec.Key = s.opts.Key(*rec)
	}
	return nil
}

// logEvent logs an event, and makes it known to the log line of its request.
func (s *Server) logEvent(ctx context.Context, e storage.Event) {
	protocol.ExchangeOf(ctx).Event(e)
	s.opts.Log.InfoContext(ctx, "upload "+string(e.Type), "id", e.Upload.ID, "event", e.ID, "size", e.Upload.Size)
}

// Uploads returns the core, to create, read, list and delete uploads in this process.
func (s *Server) Uploads() *storage.Uploads { return s.uploads }

// Run sweeps, delivers and does what else the store and the Observer have to do between
// requests, until ctx is done; deliveries under way then get Options.Delivery.Grace. Call it
// once.
func (s *Server) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { s.uploads.Run(ctx, s.opts.SweepInterval) })
	running.Go(func() { s.uploads.RunDeliveries(ctx) })
	running.Wait()
}

// Shutdown lets running requests end until ctx is done; after half of that time the
// bodies of uploads are cut off, what came of them is stored, and their clients are
// asked to retry. Ready fails from now on. It closes what New has opened, and is called
// after the http.Server has stopped accepting connections, or beside its Shutdown. See Serve
// for both, in their order.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); s.requests.Wait() }()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	return s.closed()
}

func (s *Server) close() error {
	if s.auth != nil {
		s.auth.Close()
	}
	return s.closeStore()
}
