package contentrange

import (
	"iter"
	"net/http"
	"strconv"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// maxListed is the maximum number of ranges in a list in the response to a PUT. GET of the
// state lists all.
const maxListed = 1000

// rangeLists holds the received and missing ranges of an upload, in JSON. They are
// inclusive, as in a Range header, and in ascending order. While the size is unknown, the
// last missing range has no end: "100-".
type rangeLists struct {
	Received []string `json:"received"`
	Missing  []string `json:"missing"`
}

// rangeListsOf returns the first ranges of an upload, at most limit in each list.
func rangeListsOf(up storage.Upload, limit int) rangeLists {
	if up.Finished { // a store need not keep the ranges
		return rangeLists{list(ranges.NewSet(ranges.Of(0, up.Size)).All(), limit), []string{}}
	}
	l := rangeLists{list(up.Received.All(), limit), list(up.Gaps(), limit)}
	if up.Size == storage.Unknown && len(l.Missing) < limit {
		l.Missing = append(l.Missing, strconv.FormatInt(up.Received.End(), 10)+"-")
	}
	return l
}

func list(all iter.Seq[ranges.Range], limit int) []string {
	out := []string{}
	for r := range all {
		if len(out) == limit {
			break
		}
		out = append(out, r.String())
	}
	return out
}

// stateBody is the body of a GET of the state.
type stateBody struct {
	ID       string `json:"id"`
	Size     *int64 `json:"size"` // null while unknown
	Offset   int64  `json:"offset"`
	Complete bool   `json:"complete"`
	rangeLists
	incompleteBody
	// Next is there for a finished upload too, and empty: clients of Microsoft Graph's
	// upload sessions fail without it.
	Next []string `json:"nextExpectedRanges"`
}

func (d *Handler) status(r *http.Request, up storage.Upload) stateBody {
	s := stateBody{ID: up.ID, Offset: up.Offset(), Complete: up.Finished, rangeLists: rangeListsOf(up, storage.MaxRanges+1), incompleteBody: d.progress(r, up)}
	if s.Next = s.incompleteBody.Next; s.Next == nil {
		s.Next = []string{}
	}
	if up.Size != storage.Unknown {
		s.Size = &up.Size
	}
	return s
}

// get handles GET and HEAD. It serves the file of a finished upload, unless the client wants
// the state; for an incomplete upload it returns the state. The headers describe the state
// in both cases: HEAD may reach the server as GET, through a cache.
func (d *Handler) get(w http.ResponseWriter, r *http.Request, id string) error {
	load := d.uploads.Get
	if hasTusHeaders(r) {
		load = d.uploads.GetFlushed // it may be a HEAD, after which the client resumes at this offset
	}
	up, err := load(r.Context(), id)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Add("Vary", "Accept")
	// Clients of resumable uploads (IETF draft) may ask without a version.
	h.Set("Upload-Complete", map[bool]string{true: "?1", false: "?0"}[up.Finished])
	h.Set("Upload-Limit", protocol.UploadLimit(r.Context(), d.uploads, up, protocol.MaxAge))
	setTusHeaders(h, r, d.opts.URLs, up)
	if at := d.expires(up); at != nil {
		h.Set("Upload-Expires", at.Format(http.TimeFormat))
	}
	if up.Finished && !wantsState(r, up) {
		return protocol.ServeFile(w, r, d.uploads, up, d.opts.IdleTimeout)
	}
	protocol.SetRange(h, up)
	protocol.WriteJSON(w, http.StatusOK, d.status(r, up))
	return nil
}

// wantsState reports whether a GET returns the state of a finished upload instead of its
// file: with "state" in the query, with an Accept that prefers JSON to the file, or with a
// ticket that does not permit downloads.
func wantsState(r *http.Request, up storage.Upload) bool {
	c, _ := protocol.PrincipalFrom(r.Context())
	return c.Grant != nil && c.Grant.DenyDownload || r.URL.Query().Has("state") || prefersJSON(r.Header.Values("Accept"), up.ContentType())
}
