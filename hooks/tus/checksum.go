package tus

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"strings"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
)

// algorithmNames are those of Tus-Checksum-Algorithm, each made by newHash.
const algorithmNames = "sha1,sha256,md5,crc32c"

func newHash(name string) hash.Hash {
	switch name {
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	case "md5":
		return md5.New()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	}
	return nil
}

const (
	checksumHeader = "Upload-Checksum"

	// statusChecksumMismatch is 460, which the tus protocol made up.
	statusChecksumMismatch = 460
)

// checksum is what a client says its body amounts to (tus 1.0, extension
// Checksum). One in a trailer is known only after the body.
type checksum struct {
	value   string
	trailer http.Header // nil if the value came in a header
}

// readChecksum returns nil if the request has no checksum.
func readChecksum(r *http.Request) (*checksum, error) {
	values := r.Header.Values(checksumHeader)
	_, inTrailer := r.Trailer[checksumHeader]
	switch {
	case len(values)+len(r.Trailer.Values(checksumHeader)) > 1 || len(values) > 0 && inTrailer:
		return nil, fmt.Errorf("%w: more than one %s", storage.ErrBadRequest, checksumHeader)
	case inTrailer:
		return &checksum{trailer: r.Trailer}, nil
	case len(values) == 0:
		return nil, nil
	}
	_, _, err := parseChecksum(values[0])
	return &checksum{value: values[0]}, err
}

// parseChecksum reads "ALGORITHM BASE64".
func parseChecksum(value string) (hash.Hash, []byte, error) {
	name, encoded, _ := strings.Cut(value, " ")
	h := newHash(name)
	if h == nil {
		return nil, nil, fmt.Errorf("%w: %s: the algorithm must be one of %s", storage.ErrBadRequest, checksumHeader, algorithmNames)
	}
	sum, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(sum) != h.Size() {
		return nil, nil, fmt.Errorf("%w: %s: the checksum must be %d bytes in base64", storage.ErrBadRequest, checksumHeader, h.Size())
	}
	return h, sum, nil
}

// verified reads all of src into the spool and returns it from there once its
// checksum has been found right: nothing of a chunk that is wrong may count. It
// returns no reader if the body broke off or was cut off, which the caller reports as
// for a body without a checksum.
func (x *exchange) verified(spool *hooks.Spool, src io.Reader) (io.Reader, error) {
	if err := spool.Fill(src); err != nil {
		return nil, err
	}
	if x.body.Err() != io.EOF {
		return nil, nil
	}
	value := x.checksum.value
	if x.checksum.trailer != nil {
		value = x.checksum.trailer.Get(checksumHeader)
	}
	h, want, err := parseChecksum(value)
	if err != nil {
		return nil, err
	}
	if err := spool.Hash(h); err != nil {
		return nil, err
	}
	if !bytes.Equal(h.Sum(nil), want) {
		return nil, handler.NewError("ERR_CHECKSUM_MISMATCH", "the bytes do not have the checksum that was given for them", statusChecksumMismatch)
	}
	return spool.Reader()
}
