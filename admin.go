package holdfast

import (
	"context"
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks/admin"
	"github.com/holdfast-upload/holdfast/hooks/console"
)

// AdminHandler serves what operators need and clients must not reach; it asks for no
// credentials. GET / is a web page; see package hooks/admin for the other requests, and for a
// Guard to put in front.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", admin.New(s.uploads))
	s.console.Register(mux)
	return mux
}

// newConsole returns the page of the admin address. It is made before what it shows.
func (s *Server) newConsole() *console.Console {
	return console.New(console.Options{
		Store:        s.opts.StoreName,
		Uploads:      s.Uploads,
		CheckStore:   func(ctx context.Context) error { return s.ready.of(ctx, s.uploads.Check) },
		CheckShared:  s.opts.Degraded,
		Memory:       s.opts.Spools.Memory,
		ShuttingDown: s.draining.Load,
		Board:        s.opts.Board,
	})
}
