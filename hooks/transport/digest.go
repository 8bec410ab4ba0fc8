package transport

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"
	"net/http"
	"slices"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// ChecksumAlgorithms lists the algorithms of Upload-Checksum (tus 1.0, extension Checksum).
const ChecksumAlgorithms = "sha1,sha256,md5,crc32c"

const (
	uploadChecksum = "Upload-Checksum"
	contentMD5     = "Content-Md5" // in canonical form
	reprDigest     = "Repr-Digest"
)

// hashes holds the hash functions by their name in Content-Digest and Repr-Digest
// (RFC 9530, section 7.2). Other algorithms are ignored.
var hashes = map[string]func() hash.Hash{
	"sha-512": sha512.New,
	"sha-256": sha256.New,
	"sha":     sha1.New,
	"md5":     md5.New,
	"crc32c":  func() hash.Hash { return crc32.New(crc32c.Table) },
}

// checksumHashes maps the algorithms of Upload-Checksum to keys of hashes.
var checksumHashes = map[string]string{"sha1": "sha", "sha256": "sha-256", "md5": "md5", "crc32c": "crc32c"}

// digest is a digest that the client gave for the body of its request.
type digest struct {
	field, algorithm string
	want             []byte
}

// digestFields maps the header fields that hold digests to their parsers. They cover the
// bytes of the request, even if these are part of a file; only Repr-Digest covers the
// whole file, and is ignored unless the body is the whole file.
var digestFields = map[string]func(field, value string) ([]digest, error){
	"Content-Digest": parseDigests,
	reprDigest:       parseDigests,
	"Digest":         parseOldDigests,
	contentMD5:       parseMD5,
	uploadChecksum:   parseChecksum,
}

// single lists the fields that may occur only once.
var single = []string{contentMD5, uploadChecksum}

// readDigests parses the digests in a header or trailer.
func readDigests(h http.Header) ([]digest, error) {
	var found []digest
	for field, parse := range digestFields {
		values := h.Values(field)
		if len(values) == 0 {
			continue
		}
		if len(values) > 1 && slices.Contains(single, field) {
			return nil, malformed(field, "must occur only once")
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

// newDigest decodes a digest in base64. It returns nil for an unknown algorithm.
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

// parseDigests parses Content-Digest, a dictionary of byte sequences (RFC 9530, section
// 2; RFC 8941, section 3.2): sha-256=:BASE64:, sha-512=:BASE64:
func parseDigests(field, value string) ([]digest, error) {
	members, ok := dictionary(value)
	if !ok {
		return nil, malformed(field, "must be a dictionary such as sha-256=:BASE64:")
	}
	var found []digest
	for algorithm, text := range members {
		if _, known := hashes[algorithm]; !known {
			continue
		}
		if len(text) < 2 || text[0] != ':' || text[len(text)-1] != ':' {
			return nil, malformed(field, algorithm+" must be base64 between colons")
		}
		d, err := newDigest(field, algorithm, text[1:len(text)-1])
		if err != nil {
			return nil, err
		}
		found = append(found, d...)
	}
	return found, nil
}

// parseOldDigests parses Digest (RFC 3230, section 4.3.2): SHA-256=BASE64,MD5=BASE64.
// crc32c is ignored: its encoding there is not specified.
func parseOldDigests(field, value string) ([]digest, error) {
	var found []digest
	for member := range strings.SplitSeq(value, ",") {
		algorithm, text, ok := strings.Cut(strings.Trim(member, " \t"), "=")
		if !ok || algorithm == "" {
			return nil, malformed(field, "must be a list such as SHA-256=BASE64")
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

// parseMD5 parses Content-MD5 (RFC 1864).
func parseMD5(field, value string) ([]digest, error) { return newDigest(field, "md5", value) }

// parseChecksum parses Upload-Checksum, "ALGORITHM BASE64".
func parseChecksum(field, value string) ([]digest, error) {
	name, text, _ := strings.Cut(value, " ")
	algorithm, known := checksumHashes[name]
	if !known {
		return nil, malformed(field, "the algorithm must be one of "+ChecksumAlgorithms)
	}
	return newDigest(field, algorithm, text)
}

// check compares the digest with the sum of the body.
func (d digest) check(sum []byte) error {
	switch {
	case bytes.Equal(sum, d.want):
		return nil
	case d.field == uploadChecksum:
		return problem.ErrChecksum
	}
	return fmt.Errorf("%w in %s", problem.ErrDigest, d.field)
}
