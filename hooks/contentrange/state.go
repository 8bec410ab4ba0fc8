package contentrange

import (
	"net/http"
	"strconv"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// maxListed is how many ranges are named at most in the answer to a chunk. GET of the
// state names all.
const maxListed = 1000

// extent is what is there of an upload, and what is not, as its JSON says it. Ranges are
// inclusive, as in a Range header, and in ascending order. While the size is unknown the
// last missing one has no end, "100-".
type extent struct {
	Received []string `json:"received"`
	Missing  []string `json:"missing"`
}

// extentOf names at most so many ranges of either kind, the first ones.
func extentOf(up storage.Upload, most int) extent {
	if up.Finished { // a store need not remember how it came
		return extent{list(ranges.NewSet(ranges.Of(0, up.Size)), most), []string{}}
	}
	e := extent{list(up.Received, most), list(up.Missing(), most)}
	if up.Size == storage.Unknown && len(e.Missing) < most {
		e.Missing = append(e.Missing, strconv.FormatInt(up.Received.End(), 10)+"-")
	}
	return e
}

func list(set ranges.Set, most int) []string {
	named := set.Ranges()[:min(set.Count(), most)]
	out := make([]string, len(named))
	for i, r := range named {
		out[i] = r.String()
	}
	return out
}

// status is the body of a GET of the state.
type stateBody struct {
	ID       string `json:"id"`
	Size     *int64 `json:"size"` // null while unknown
	Offset   int64  `json:"offset"`
	Complete bool   `json:"complete"`
	extent
	incompleteBody
}

func (d *Handler) status(r *http.Request, up storage.Upload) stateBody {
	s := stateBody{ID: up.ID, Offset: up.Offset(), Complete: up.Finished, extent: extentOf(up, storage.MaxRanges+1), incompleteBody: d.progress(r, up)}
	if up.Size != storage.Unknown {
		s.Size = &up.Size
	}
	return s
}

// get answers GET and HEAD: with the file of a finished upload, or else, or if that is
// what the client wants, with the state of the upload. The headers tell of the state
// either way: HEAD may reach the server as GET, through a cache.
func (d *Handler) get(w http.ResponseWriter, r *http.Request, id string) error {
	up, err := d.uploads.Get(r.Context(), id)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Add("Vary", "Accept")
	h.Set("Upload-Offset", strconv.FormatInt(up.Offset(), 10))
	if up.Size != storage.Unknown {
		h.Set("Upload-Length", strconv.FormatInt(up.Size, 10))
	}
	if up.Finished && !wantsState(r, up) {
		return hooks.ServeFile(w, r, d.uploads, up, d.opts.IdleTimeout)
	}
	if at := d.expires(up); at != nil {
		h.Set("Upload-Expires", at.Format(http.TimeFormat))
	}
	setRange(h, up)
	writeJSON(w, http.StatusOK, d.status(r, up))
	return nil
}

// wantsState reports whether a GET is for the state of an upload even if its file is
// there: with "state" in the query, with an Accept that prefers JSON to the file, or with
// a ticket that does not allow to download.
func wantsState(r *http.Request, up storage.Upload) bool {
	c, _ := hooks.PrincipalFrom(r.Context())
	return c.Grant != nil && c.Grant.DenyDownload || r.URL.Query().Has("state") || prefersJSON(r.Header.Values("Accept"), up.ContentType())
}
