package transport

import (
	"encoding/binary"
	"hash"
	"net/http"
	"strings"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// ReprDigest verifies the Repr-Digest (RFC 9530, section 3) of a file whose bytes arrive in
// several requests.
type ReprDigest struct {
	digests []digest
	sums    map[string]hash.Hash // by algorithm
}

// NewReprDigest returns a ReprDigest for a header, nil if it has no digest of a known
// algorithm. It returns storage.ErrBadRequest if the digest is malformed.
func NewReprDigest(h http.Header) (*ReprDigest, error) {
	digests, err := parseDigests(reprDigest, strings.Join(h.Values(reprDigest), ", "))
	if err != nil || len(digests) == 0 {
		return nil, err
	}
	d := &ReprDigest{digests: digests, sums: map[string]hash.Hash{}}
	for _, one := range digests {
		d.sums[one.algorithm] = hashes[one.algorithm]()
	}
	return d, nil
}

// Write adds the next bytes of the file.
func (d *ReprDigest) Write(p []byte) (int, error) {
	for _, sum := range d.sums {
		_, _ = sum.Write(p) // a hash never fails
	}
	return len(p), nil
}

// CRC32C returns the CRC32C that the client gave, if it did.
func (d *ReprDigest) CRC32C() (sum crc32c.Sum, ok bool) {
	if d == nil {
		return 0, false
	}
	for _, one := range d.digests {
		if one.algorithm == "crc32c" {
			return crc32c.Sum(binary.BigEndian.Uint32(one.want)), true
		}
	}
	return 0, false
}

// Check returns problem.ErrDigest if the bytes that were written do not match.
func (d *ReprDigest) Check() error {
	for _, one := range d.digests {
		if err := one.check(d.sums[one.algorithm].Sum(nil)); err != nil {
			return err
		}
	}
	return nil
}
