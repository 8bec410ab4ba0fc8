package transport

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// Checksums are the known checksums of a finished file, for JSON responses.
type Checksums struct {
	CRC32C *crc32c.Sum `json:"crc32c,omitempty"` // big-endian, in base64, as in Google's API
	SHA256 string      `json:"sha256,omitempty"` // in hexadecimal
}

// ChecksumsOf returns the checksums of an upload, none before it is finished.
func ChecksumsOf(up storage.Upload) Checksums {
	return Checksums{up.CRC32C, hex.EncodeToString(up.SHA256())}
}

// SetReprDigest implements Want-Repr-Digest (RFC 9530, section 4): it sets a Repr-Digest
// with the requested digests of a finished file, as far as they are known.
func SetReprDigest(h http.Header, r *http.Request, up storage.Upload) {
	wanted, ok := dictionary(strings.Join(r.Header.Values("Want-Repr-Digest"), ", "))
	if !ok {
		return
	}
	known := []struct {
		algorithm string
		sum       []byte
	}{{"sha-256", up.SHA256()}, {"crc32c", nil}}
	if up.CRC32C != nil {
		known[1].sum = up.CRC32C.Bytes()
	}
	var found []string
	for _, k := range known {
		if preference, err := strconv.Atoi(wanted[k.algorithm]); err == nil && preference > 0 && k.sum != nil {
			found = append(found, k.algorithm+"=:"+base64.StdEncoding.EncodeToString(k.sum)+":")
		}
	}
	if len(found) > 0 {
		h.Set(reprDigest, strings.Join(found, ", "))
	}
}
