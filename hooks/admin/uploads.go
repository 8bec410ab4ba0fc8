package admin

import (
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// uploadLine is a line of GET /uploads.
type uploadLine struct {
	ID       string     `json:"id"`
	Name     string     `json:"name,omitempty"`
	Type     string     `json:"type,omitempty"`
	State    string     `json:"state"` // incomplete, finished, pending or dead-lettered
	Size     *int64     `json:"size"`  // null while unknown
	Received int64      `json:"received"`
	Ranges   int        `json:"ranges"`
	Created  time.Time  `json:"created"`
	Age      string     `json:"age"`
	Owner    string     `json:"owner,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
}

// listUploads lists the uploads that the store has work with: incomplete ones, and finished
// ones whose delivery is pending.
func (h *Handler) listUploads(w http.ResponseWriter, r *http.Request) {
	out := newLineWriter(w)
	out.writeEach(h.uploads.All(r.Context()), func(up storage.Upload) { out.write(h.uploadLine(up)) })
}

func (h *Handler) uploadLine(up storage.Upload) uploadLine {
	line := uploadLine{
		ID: up.ID, Name: up.DisplayName(), Type: up.ContentType(), State: uploadState(up),
		Received: up.Received.Bytes(), Ranges: up.Received.Count(),
		Created: up.Created.UTC(), Age: time.Since(up.Created).Truncate(time.Second).String(), Owner: up.Owner,
	}
	if up.Size != storage.Unknown {
		line.Size = &up.Size
	}
	if up.Finished {
		line.Received, line.Ranges = up.Size, 1
	}
	if at := h.uploads.Expires(up); !at.IsZero() {
		at = at.UTC().Truncate(time.Second)
		line.Expires = &at
	}
	return line
}

func uploadState(up storage.Upload) string {
	switch {
	case up.DeadLettered:
		return "dead-lettered"
	case up.Finished && up.DeliveryPending:
		return "pending"
	case up.Finished:
		return "finished"
	}
	return "incomplete"
}
