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
	State    string     `json:"state"` // see uploadState
	Size     *int64     `json:"size"`  // null while unknown
	Received int64      `json:"received"`
	Ranges   int        `json:"ranges"`
	Created  time.Time  `json:"created"`
	Age      string     `json:"age"`
	Owner    string     `json:"owner,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
}

// listUploads lists the uploads that the store has work with: incomplete ones, and finished
// ones whose delivery is pending. With the query all it lists finished ones too.
func (h *Handler) listUploads(w http.ResponseWriter, r *http.Request) {
	out, list := newLineWriter(w), h.uploads.Active
	if r.URL.Query().Has("all") {
		list = h.uploads.All
	}
	out.writeEach(list(r.Context()), func(up storage.Upload) { out.write(h.uploadLine(up)) })
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

// uploadState returns "incomplete" or, for an upload that is finished, what has become of it:
// its delivery is "pending" or "dead-lettered", its file was moved or deleted by others
// ("file-missing"), or neither ("finished").
func uploadState(up storage.Upload) string {
	switch {
	case up.DeadLettered:
		return "dead-lettered"
	case up.Finished && up.DeliveryPending:
		return "pending"
	case up.FileMissing:
		return "file-missing"
	case up.Finished:
		return "finished"
	}
	return "incomplete"
}
