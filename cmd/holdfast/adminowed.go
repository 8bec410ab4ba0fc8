package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holdfast-upload/holdfast/storage"
)

// owed is a line about a finished upload of which the app has not heard.
type owed struct {
	ID       string    `json:"id"`
	Size     int64     `json:"size"`
	Finished time.Time `json:"finished"`
	Age      string    `json:"age"`
	Parked   bool      `json:"parked"`
}

// retried is a line about what came of telling the app of an upload again.
type retried struct {
	ID    string `json:"id"`
	Told  bool   `json:"told"`
	Error string `json:"error,omitempty"`
}

// failure is the last line of an answer that could not be brought to its end.
type failure struct {
	Error string `json:"error"`
}

func (s *Server) listOwed(w http.ResponseWriter, r *http.Request) {
	out := newLines(w)
	for up, err := range s.uploads.AllOwed(r.Context()) {
		if err != nil {
			out.write(failure{err.Error()})
			continue
		}
		age := time.Since(up.Touched).Truncate(time.Second)
		out.write(owed{up.ID, up.Size, up.Touched.UTC(), age.String(), up.Parked})
	}
}

// retryOwed tells the app of the uploads named by id, of all that are owed if none is.
func (s *Server) retryOwed(w http.ResponseWriter, r *http.Request) {
	if s.hooks == nil {
		http.Error(w, errNoHooks.Error(), http.StatusConflict)
		return
	}
	out := newLines(w)
	var work errgroup.Group
	work.SetLimit(retriesAtOnce)
	retry := func(id string) {
		work.Go(func() error {
			line := retried{ID: id, Told: true}
			if err := s.retry(r.Context(), id); err != nil {
				line.Told, line.Error = false, err.Error()
			}
			out.write(line)
			return nil
		})
	}
	ids := r.URL.Query()["id"]
	for _, id := range ids {
		retry(id)
	}
	if len(ids) == 0 {
		s.eachOwed(r.Context(), retry, out)
	}
	_ = work.Wait() // what failed has been written
}

// retriesAtOnce is how many uploads are told of side by side when somebody wants it now.
const retriesAtOnce = 8

func (s *Server) retry(ctx context.Context, id string) error {
	if err := storage.CheckID(id); err != nil {
		return err
	}
	return s.hooks.Retry(ctx, id)
}

func (s *Server) eachOwed(ctx context.Context, do func(id string), out *lines) {
	for up, err := range s.uploads.AllOwed(ctx) {
		if err != nil {
			out.write(failure{err.Error()})
			continue
		}
		do(up.ID)
	}
}

// lines writes JSON, one value in a line, as soon as each is known.
type lines struct {
	mu  sync.Mutex
	w   http.ResponseWriter
	ctl *http.ResponseController
}

func newLines(w http.ResponseWriter) *lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	return &lines{w: w, ctl: http.NewResponseController(w)}
}

func (l *lines) write(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = json.NewEncoder(l.w).Encode(v) // whoever asked may be gone
	_ = l.ctl.Flush()
}
