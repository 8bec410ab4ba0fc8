package hooks

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// Checksums is what answers in JSON say of the bytes of a finished file, as far as it is
// known.
type Checksums struct {
	CRC32C *crc32c.Sum `json:"crc32c,omitempty"` // big-endian, in base64, as Google has it
	SHA256 string      `json:"sha256,omitempty"` // in hexadecimal
}

// ChecksumsOf are those of an upload, none before it is finished.
func ChecksumsOf(up storage.Upload) Checksums {
	return Checksums{up.CRC32C, hex.EncodeToString(up.SHA256())}
}

// SetReprDigest answers Want-Repr-Digest (RFC 9530, section 4): it sets a Repr-Digest with
// those digests of a finished file that are wanted, and known.
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
