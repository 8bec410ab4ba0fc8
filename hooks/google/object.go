package google

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
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
	MD5             string            `json:"md5Hash,omitempty"`
	ETag            string            `json:"etag"`
	TimeCreated     string            `json:"timeCreated"`
	Updated         string            `json:"updated"`
	Metadata        map[string]string `json:"metadata,omitempty"`
}

// idBucket is the bucket in which each finished upload is an object that has its id as its
// name, whatever protocol has created it, also if the app has chosen the id.
const idBucket = "holdfast"

// resourceOf returns the description of a finished upload. One that was created with another
// protocol has neither bucket nor name of its own.
func (h *Handler) resourceOf(r *http.Request, up storage.Upload) resource {
	bucket, name := idBucket, up.ID
	if isNamed(up) {
		bucket, name = up.Metadata[metaBucket], up.Metadata[metaName]
	}
	scheme, host := h.opts.URLs.Origin(r)
	at := objectPath(r, up, bucket, name)
	return resource{
		Kind: "storage#object", ID: bucket + "/" + name + "/" + generation(up),
		SelfLink:  scheme + "://" + host + at,
		MediaLink: scheme + "://" + host + "/download" + at + "?generation=" + generation(up) + "&alt=media",
		Name:      name, Bucket: bucket, Generation: generation(up), Metageneration: "1",
		ContentType: up.ContentType(), ContentEncoding: up.Metadata[metaEncoding], StorageClass: "STANDARD",
		Size: strconv.FormatInt(up.Size, 10), CRC32C: up.CRC32C, MD5: md5Of(up), ETag: up.ID,
		TimeCreated: timestamp(up.Created), Updated: timestamp(up.ModifiedAt), Metadata: ownMetadata(up),
	}
}

// isNamed reports whether an upload has a bucket and a name.
func isNamed(up storage.Upload) bool {
	return up.Metadata[metaBucket] != "" && up.Metadata[metaName] != ""
}

// md5Of returns the MD5 of an upload in base64, "" if it is not known.
func md5Of(up storage.Upload) string {
	if !isNamed(up) {
		return ""
	}
	return up.Metadata[metaMD5]
}

// objectPath returns the path at which find finds an upload: that of its name, or of its id
// if the id does not begin with the hash of the name.
func objectPath(r *http.Request, up storage.Upload, bucket, name string) string {
	if !strings.HasPrefix(up.ID, idsOf(r, bucket, name)) {
		bucket, name = idBucket, up.ID
	}
	return "/storage/v1/b/" + url.PathEscape(bucket) + "/o/" + url.PathEscape(name)
}

// generation returns the number that distinguishes uploads of one name.
func generation(up storage.Upload) string { return strconv.FormatInt(up.Created.UnixMicro(), 10) }

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// ownMetadata returns the metadata of the client's own.
func ownMetadata(up storage.Upload) map[string]string {
	own := map[string]string{}
	for name, value := range up.Metadata {
		switch {
		case name == metaType, name == metaEncoding:
		case isNamed(up) && (name == metaBucket || name == metaName || name == metaMD5):
		case isNamed(up) && name == metaFilename && value == path.Base(up.Metadata[metaName]):
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
	if sum := md5Of(up); sum != "" {
		header.Add("X-Goog-Hash", "md5="+sum)
	}
	header.Set("X-Goog-Generation", generation(up))
	header.Set("X-Goog-Metageneration", "1")
	header.Set("X-Goog-Stored-Content-Length", strconv.FormatInt(up.Size, 10))
	header.Set("X-Goog-Stored-Content-Encoding", "identity")
}

// find returns the finished upload of an object: that with its id in idBucket, or the newest
// of its name, or that of the generation in the query. Ids begin with a hash of the owner,
// the bucket and the name, unless the app or a ticket has chosen another id. Those have no
// other name than their id.
func (h *Handler) find(r *http.Request, t target) (storage.Upload, error) {
	wanted := r.URL.Query().Get("generation")
	matches := func(up storage.Upload) bool { return wanted == "" || wanted == generation(up) }
	if t.bucket == idBucket && storage.CheckID(t.name) == nil {
		up, err := h.uploads.Get(r.Context(), t.name)
		if err == nil && up.Finished && matches(up) {
			return up, nil
		}
		if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrGone) {
			return up, err
		}
	}
	return h.uploads.NewestFinished(r.Context(), idsOf(r, t.bucket, t.name), matches)
}
