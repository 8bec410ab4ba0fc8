package contentrange

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// serveRangeQuery answers a GET with a Content-Range, by which some browser uploaders
// (Flow.js and Resumable.js with testChunks) ask whether a chunk is stored: 200 and the state
// if all of it is, else 204. They do not send a chunk that is answered 200, and give up on
// 404: so an upload that is not there has no chunk.
func (d *Handler) serveRangeQuery(w http.ResponseWriter, r *http.Request, id string) error {
	values := r.Header.Values("Content-Range")
	if len(values) > 1 {
		return fmt.Errorf("%w: more than one Content-Range", storage.ErrBadRequest)
	}
	asked, err := parse(values[0])
	if err != nil {
		return err
	}
	if !asked.query && asked.end == unknown {
		return fmt.Errorf("%w: Content-Range %.100q: a range to ask for needs an end", storage.ErrBadRequest, values[0])
	}
	up, err := d.uploads.Get(r.Context(), id)
	if errors.Is(err, storage.ErrNotFound) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err != nil {
		return err
	}
	if asked.total != unknown && up.Size != storage.Unknown && asked.total != up.Size {
		return fmt.Errorf("%w: Content-Range has a total of %d, the upload has %d bytes", storage.ErrSizeMismatch, asked.total, up.Size)
	}
	protocol.SetRange(w.Header(), up)
	if !asked.query && !isStored(up, ranges.Range{Start: asked.start, End: asked.end}) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	protocol.WriteJSON(w, http.StatusOK, d.status(r, up))
	return nil
}

// isStored reports whether all of r is received. An empty range is that of an empty file.
func isStored(up storage.Upload, r ranges.Range) bool {
	if up.Finished {
		return r.End <= up.Size
	}
	return !r.Empty() && up.Received.Contains(r)
}
