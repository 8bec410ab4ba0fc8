package holdfast

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// retryConcurrency is how many deliveries a request for a retry makes side by side.
const retryConcurrency = 8

// pendingLine is a line of GET /deliveries.
type pendingLine struct {
	ID           string    `json:"id"`
	Size         int64     `json:"size"`
	Finished     time.Time `json:"finished"`
	Age          string    `json:"age"`
	DeadLettered bool      `json:"deadLettered"`
}

// retriedLine is a line of POST /deliveries/retry.
type retriedLine struct {
	ID        string `json:"id"`
	Delivered bool   `json:"delivered"`
	Error     string `json:"error,omitempty"`
}

// errorLine stands for something that could not be listed.
type errorLine struct {
	Error string `json:"error"`
}

// AdminHandler serves what operators need and clients must not reach; it asks for no
// credentials. Answers are JSON, one value in a line:
//
//	GET /uploads                    the uploads that are incomplete or whose delivery is pending
//	GET /deliveries                 the deliveries that are pending or dead-lettered
//	POST /deliveries/retry[?id=ID]  delivers those uploads now, or all that are pending
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /uploads", s.listUploads)
	mux.HandleFunc("GET /deliveries", s.listDeliveries)
	mux.HandleFunc("POST /deliveries/retry", s.retryDeliveries)
	return mux
}

func (s *Server) listDeliveries(w http.ResponseWriter, r *http.Request) {
	out := newLineWriter(w)
	for up, err := range s.uploads.PendingDeliveries(r.Context()) {
		if err != nil {
			out.write(errorLine{err.Error()})
			continue
		}
		age := time.Since(up.ModifiedAt).Truncate(time.Second)
		out.write(pendingLine{up.ID, up.Size, up.ModifiedAt.UTC(), age.String(), up.DeadLettered})
	}
}

func (s *Server) retryDeliveries(w http.ResponseWriter, r *http.Request) {
	if s.opts.Delivery.Deliverer == nil {
		http.Error(w, "no delivery is configured: --hook-url names the app", http.StatusConflict)
		return
	}
	out := newLineWriter(w)
	var work errgroup.Group
	work.SetLimit(retryConcurrency)
	retry := func(id string) {
		work.Go(func() error {
			line := retriedLine{ID: id, Delivered: true}
			if err := s.uploads.Redeliver(r.Context(), id); err != nil {
				line.Delivered, line.Error = false, err.Error()
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
		for up, err := range s.uploads.PendingDeliveries(r.Context()) {
			if err != nil {
				out.write(errorLine{err.Error()})
				continue
			}
			retry(up.ID)
		}
	}
	_ = work.Wait() // errors are in the lines
}

// lineWriter writes JSON values, one in a line, each as soon as it is known.
type lineWriter struct {
	mu  sync.Mutex
	w   http.ResponseWriter
	ctl *http.ResponseController
}

func newLineWriter(w http.ResponseWriter) *lineWriter {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	return &lineWriter{w: w, ctl: http.NewResponseController(w)}
}

func (l *lineWriter) write(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = json.NewEncoder(l.w).Encode(v) // the client may be gone
	_ = l.ctl.Flush()
}
