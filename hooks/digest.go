package hooks

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"net/http"
	"slices"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// ChecksumAlgorithms are those of Upload-Checksum (tus 1.0, extension Checksum).
const ChecksumAlgorithms = "sha1,sha256,md5,crc32c"

const (
	uploadChecksum = "Upload-Checksum"
	contentMD5     = "Content-Md5" // as net/http has it
	reprDigest     = "Repr-Digest"
)

var (
	// ErrDigest: the body does not have a digest that its client gave for it.
	ErrDigest = errors.New("the bytes do not have the digest that was given for them")
	// ErrChecksum is the ErrDigest of an Upload-Checksum, for which tus has a status.
	ErrChecksum = fmt.Errorf("%w in %s", ErrDigest, uploadChecksum)
)

// hashes make what computes a digest, by the names of the fields Content-Digest and
// Repr-Digest (RFC 9530, section 7.2). Other algorithms are ignored.
var hashes = map[string]func() hash.Hash{
	"sha-512": sha512.New,
	"sha-256": sha256.New,
	"sha":     sha1.New,
	"md5":     md5.New,
	"crc32c":  func() hash.Hash { return crc32.New(crc32c.Table) },
}

// checksumHashes name those of Upload-Checksum.
var checksumHashes = map[string]string{"sha1": "sha", "sha256": "sha-256", "md5": "md5", "crc32c": "crc32c"}

// digest is one that a client gave for the body of its request.
type digest struct {
	field, algorithm string
	want             []byte
}

// digestFields are the header fields with digests of a body, and how to read them. Each is
// one of the bytes that the request sends, also where these are a part of a file; that of
// Repr-Digest is one of the whole file, and counts where the body is that.
var digestFields = map[string]func(field, value string) ([]digest, error){
	"Content-Digest": parseDigests,
	reprDigest:       parseDigests,
	"Digest":         parseOldDigests,
	contentMD5:       parseMD5,
	uploadChecksum:   parseChecksum,
}

// single are those that may be given only once.
var single = []string{contentMD5, uploadChecksum}

// readDigests reads the digests in a header, or in a trailer.
func readDigests(h http.Header) ([]digest, error) {
	var found []digest
	for field, parse := range digestFields {
		values := h.Values(field)
		if len(values) == 0 {
			continue
		}
		if len(values) > 1 && slices.Contains(single, field) {
			return nil, malformed(field, "it must be given only once")
		}
		more, err := parse(field, strings.Join(values, ", "))
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

func malformed(field, why string) error {
	return fmt.Errorf("%w: %s: %s", storage.ErrBadRequest, field, why)
}

// newDigest is the digest that text says in base64. It is none for an algorithm that is
// not known.
func newDigest(field, algorithm, text string) ([]digest, error) {
	newHash, known := hashes[algorithm]
	if !known {
		return nil, nil
	}
	size := newHash().Size()
	want, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(want) != size {
		return nil, malformed(field, fmt.Sprintf("%s must be %d bytes in base64", algorithm, size))
	}
	return []digest{{field, algorithm, want}}, nil
}

// parseDigests reads the dictionary of byte sequences that Content-Digest is (RFC 9530,
// section 2; RFC 8941, section 3.2): sha-256=:BASE64:, sha-512=:BASE64:
func parseDigests(field, value string) ([]digest, error) {
	members, ok := dictionary(value)
	if !ok {
		return nil, malformed(field, "it must be a dictionary such as sha-256=:BASE64:")
	}
	var found []digest
	for algorithm, text := range members {
		if _, known := hashes[algorithm]; !known {
			continue
		}
		if len(text) < 2 || text[0] != ':' || text[len(text)-1] != ':' {
			return nil, malformed(field, algorithm+" must be bytes between colons, in base64")
		}
		d, err := newDigest(field, algorithm, text[1:len(text)-1])
		if err != nil {
			return nil, err
		}
		found = append(found, d...)
	}
	return found, nil
}

// parseOldDigests reads a Digest (RFC 3230, section 4.3.2): SHA-256=BASE64,MD5=BASE64.
// How it has a CRC32C is written nowhere, so that is ignored.
func parseOldDigests(field, value string) ([]digest, error) {
	var found []digest
	for member := range strings.SplitSeq(value, ",") {
		algorithm, text, ok := strings.Cut(strings.Trim(member, " \t"), "=")
		if !ok || algorithm == "" {
			return nil, malformed(field, "it must be a list such as SHA-256=BASE64")
		}
		algorithm = strings.ToLower(algorithm)
		if algorithm == "crc32c" {
			continue
		}
		d, err := newDigest(field, algorithm, text)
		if err != nil {
			return nil, err
		}
		found = append(found, d...)
	}
	return found, nil
}

// parseMD5 reads a Content-MD5 (RFC 1864).
func parseMD5(field, value string) ([]digest, error) { return newDigest(field, "md5", value) }

// parseChecksum reads an Upload-Checksum, "ALGORITHM BASE64".
func parseChecksum(field, value string) ([]digest, error) {
	name, text, _ := strings.Cut(value, " ")
	algorithm, known := checksumHashes[name]
	if !known {
		return nil, malformed(field, "the algorithm must be one of "+ChecksumAlgorithms)
	}
	return newDigest(field, algorithm, text)
}

// check compares the digest with that of the body.
func (d digest) check(sum []byte) error {
	switch {
	case bytes.Equal(sum, d.want):
		return nil
	case d.field == uploadChecksum:
		return ErrChecksum
	}
	return fmt.Errorf("%w in %s", ErrDigest, d.field)
}
