package google

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

// Names of metadata. The others are those of the client's own, under "metadata" in JSON.
const (
	metaBucket   = "bucket"
	metaName     = "name"
	metaFilename = "filename" // the last element of the name
	metaType     = "filetype"
	metaEncoding = "contentEncoding" // of the file, which is stored as it was sent
	metaMD5      = "md5Hash"         // of the file, in base64, if the client has given it and it was verified
)

// properties are those of an object that a client may set at its creation. Others are
// ignored.
type properties struct {
	Name            string            `json:"name"`
	ContentType     string            `json:"contentType"`
	ContentEncoding string            `json:"contentEncoding"`
	Metadata        map[string]string `json:"metadata"`
	CRC32C          string            `json:"crc32c"`
	MD5             string            `json:"md5Hash"`
}

// record returns the record of a new upload of unknown size.
func (p properties) record(r *http.Request, t target) (storage.Record, error) {
	if name := r.URL.Query().Get("name"); name != "" {
		p.Name = name
	}
	if p.ContentType == "" {
		p.ContentType = r.Header.Get("X-Upload-Content-Type")
	}
	meta := storage.Metadata{}
	for name, value := range p.Metadata {
		if name == metaBucket || name == metaName || name == metaMD5 {
			return storage.Record{}, fmt.Errorf("%w: the metadata %q has a meaning of its own here", storage.ErrBadRequest, name)
		}
		meta[name] = value
	}
	setDefault := func(name, value string) {
		if _, set := meta[name]; !set && value != "" {
			meta[name] = value
		}
	}
	setDefault(metaBucket, t.bucket)
	setDefault(metaName, p.Name)
	if p.Name != "" {
		setDefault(metaFilename, path.Base(p.Name))
	}
	setDefault(metaType, p.ContentType)
	setDefault(metaEncoding, p.ContentEncoding)
	rec := storage.Record{Size: storage.Unknown, Metadata: meta}
	if p.Name != "" {
		// The time comes first, so that ids are in the order of their creation.
		rec.IDPrefix = fmt.Sprintf("%s-%012x-", nameID(r, t.bucket, p.Name), time.Now().UnixMilli())
	}
	return rec, nil
}

// idsOf returns what the ids of all uploads with a name begin with, unless the app or a ticket
// has chosen them.
func idsOf(r *http.Request, bucket, name string) string {
	c, _ := protocol.PrincipalFrom(r.Context())
	return c.IDPrefix + nameID(r, bucket, name) + "-"
}

// nameID returns a hash of the principal, the bucket and a name, which is a part of an id.
func nameID(r *http.Request, bucket, name string) string {
	c, _ := protocol.PrincipalFrom(r.Context())
	sum := sha256.Sum256([]byte(c.Subject + "\x00" + bucket + "\x00" + name))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// declaredSize returns the size in X-Upload-Content-Length, storage.Unknown if there is none.
func declaredSize(r *http.Request) (int64, error) {
	text := r.Header.Get("X-Upload-Content-Length")
	if text == "" {
		return storage.Unknown, nil
	}
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil || size < 0 {
		return 0, fmt.Errorf("%w: X-Upload-Content-Length: %.30q is not a number of bytes", storage.ErrBadRequest, text)
	}
	return size, nil
}
