package google

import (
	"net/http"
	"net/url"
	"path"
	"strconv"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// resource is the description of an object in the JSON API. Numbers are strings in it.
type resource struct {
	Kind            string            `json:"kind"`
	ID              string            `json:"id"`
	SelfLink        string            `json:"selfLink"`
	MediaLink       string            `json:"mediaLink"`
	Name            string            `json:"name"`
	Bucket          string            `json:"bucket"`
	Generation      string            `json:"generation"`
	Metageneration  string            `json:"metageneration"`
	ContentType     string            `json:"contentType"`
	ContentEncoding string            `json:"contentEncoding,omitempty"`
	StorageClass    string            `json:"storageClass"`
	Size            string            `json:"size"`
	CRC32C          *crc32c.Sum       `json:"crc32c,omitempty"`
	ETag            string            `json:"etag"`
	TimeCreated     string            `json:"timeCreated"`
	Updated         string            `json:"updated"`
	Metadata        map[string]string `json:"metadata,omitempty"`
}

// resourceOf returns the description of a finished upload.
func (h *Handler) resourceOf(r *http.Request, up storage.Upload) resource {
	bucket, name := up.Metadata[metaBucket], up.Metadata[metaName]
	if name == "" {
		name = up.ID
	}
	scheme, host := h.opts.URLs.Origin(r)
	at := "/storage/v1/b/" + url.PathEscape(bucket) + "/o/" + url.PathEscape(name)
	return resource{
		Kind: "storage#object", ID: bucket + "/" + name + "/" + generation(up),
		SelfLink:  scheme + "://" + host + at,
		MediaLink: scheme + "://" + host + "/download" + at + "?generation=" + generation(up) + "&alt=media",
		Name:      name, Bucket: bucket, Generation: generation(up), Metageneration: "1",
		ContentType: up.ContentType(), ContentEncoding: up.Metadata[metaEncoding], StorageClass: "STANDARD",
		Size: strconv.FormatInt(up.Size, 10), CRC32C: up.CRC32C, ETag: up.ID,
		TimeCreated: timestamp(up.Created), Updated: timestamp(up.ModifiedAt), Metadata: ownMetadata(up),
	}
}

// generation returns the number that distinguishes uploads of one name.
func generation(up storage.Upload) string { return strconv.FormatInt(up.Created.UnixMicro(), 10) }

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// ownMetadata returns the metadata of the client's own.
func ownMetadata(up storage.Upload) map[string]string {
	own := map[string]string{}
	for name, value := range up.Metadata {
		switch {
		case name == metaBucket, name == metaName, name == metaType, name == metaEncoding:
		case name == metaFilename && value == path.Base(up.Metadata[metaName]):
		default:
			own[name] = value
		}
	}
	return own
}

func (h *Handler) writeObject(w http.ResponseWriter, r *http.Request, up storage.Upload) {
	protocol.WriteJSON(w, http.StatusOK, h.resourceOf(r, up))
}

// serveObject serves the description of an object, its content, or its deletion.
func (h *Handler) serveObject(w http.ResponseWriter, r *http.Request, t target) error {
	up, err := h.find(r, t)
	if err != nil {
		return err
	}
	switch {
	case r.Method == http.MethodDelete:
		if err := h.uploads.Delete(r.Context(), up.ID); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	case t.media:
		setContentHeaders(w.Header(), up)
		return protocol.ServeFile(w, r, h.uploads, up, h.opts.IdleTimeout)
	}
	h.writeObject(w, r, up)
	return nil
}

// setContentHeaders sets the headers with which clients verify a download.
func setContentHeaders(header http.Header, up storage.Upload) {
	if up.CRC32C != nil {
		header.Set("X-Goog-Hash", "crc32c="+up.CRC32C.String())
	}
	header.Set("X-Goog-Generation", generation(up))
	header.Set("X-Goog-Metageneration", "1")
	header.Set("X-Goog-Stored-Content-Length", strconv.FormatInt(up.Size, 10))
	header.Set("X-Goog-Stored-Content-Encoding", "identity")
}

// find returns the finished upload of an object: the newest of its name, or that of the
// generation in the query. Their ids begin with a hash of the owner, the bucket and the
// name, unless the app or a ticket has chosen another id. Those it does not find.
func (h *Handler) find(r *http.Request, t target) (storage.Upload, error) {
	c, _ := protocol.PrincipalFrom(r.Context())
	wanted := r.URL.Query().Get("generation")
	return h.uploads.NewestFinished(r.Context(), c.IDPrefix+nameID(r, t.bucket, t.name)+"-", func(up storage.Upload) bool {
		return wanted == "" || wanted == generation(up)
	})
}
