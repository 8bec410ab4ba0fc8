package storage

import "github.com/holdfast-upload/holdfast/storage/crc32c"

// Digest holds the checksums of a body that was a whole file and matched the digests
// that its client sent.
type Digest struct {
	CRC32C crc32c.Sum `json:"crc32c"`
	SHA256 []byte     `json:"sha256"`
}

// SHA256 returns the SHA-256 of the file of a finished upload, nil if it is not known. It
// is known for a file that was sent in one body with its digest. The file is assumed to be
// that body if their CRC32C match: a client that concurrently sends different bytes with
// the same CRC32C can forge the result, so rely on it only for clients that you trust.
func (u Upload) SHA256() []byte {
	if u.CRC32C == nil || u.Digest == nil || u.Digest.CRC32C != *u.CRC32C {
		return nil
	}
	return u.Digest.SHA256
}

// JoinCRC32C returns the checksum of the concatenated files of parts, nil if that of any
// part is not known.
func JoinCRC32C(parts []Upload) *crc32c.Sum {
	var whole crc32c.Sum
	for _, part := range parts {
		if part.CRC32C == nil {
			return nil
		}
		whole = whole.Join(*part.CRC32C, part.Size)
	}
	return &whole
}
