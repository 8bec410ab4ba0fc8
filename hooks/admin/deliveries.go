package admin

import (
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holdfast-upload/holdfast/storage"
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

func (h *Handler) listDeliveries(w http.ResponseWriter, r *http.Request) {
	out := newLineWriter(w)
	out.writeEach(h.uploads.PendingDeliveries(r.Context()), func(up storage.Upload) {
		age := time.Since(up.ModifiedAt).Truncate(time.Second)
		out.write(pendingLine{up.ID, up.Size, up.ModifiedAt.UTC(), age.String(), up.DeadLettered})
	})
}

func (h *Handler) retryDeliveries(w http.ResponseWriter, r *http.Request) {
	if !h.uploads.HasDeliverer() {
		http.Error(w, "no delivery is configured: --hook-url names the app", http.StatusConflict)
		return
	}
	out := newLineWriter(w)
	var work errgroup.Group
	work.SetLimit(retryConcurrency)
	retry := func(id string) {
		work.Go(func() error {
			line := retriedLine{ID: id, Delivered: true}
			if err := h.uploads.Redeliver(r.Context(), id); err != nil {
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
		out.writeEach(h.uploads.PendingDeliveries(r.Context()), func(up storage.Upload) { retry(up.ID) })
	}
	_ = work.Wait() // errors are in the lines
}
