package storage

import "github.com/holdfast-upload/holdfast/storage/crc32c"

// Digest is what was found of a body that was a whole file and had the digests that its
// client gave for it.
type Digest struct {
	CRC32C crc32c.Sum `json:"crc32c"`
	SHA256 []byte     `json:"sha256"`
}

// SHA256 is the SHA-256 of the file of a finished upload, nil if it is not known. It is
// known of a file that came in one body with it, and is taken for that body's if it has
// its CRC32C: a client that at the same time sends other bytes with that CRC32C to the
// URL deceives who trusts it in this.
func (u Upload) SHA256() []byte {
	if u.CRC32C == nil || u.Digest == nil || u.Digest.CRC32C != *u.CRC32C {
		return nil
	}
	return u.Digest.SHA256
}

// JoinCRC32C is the checksum of the files of parts, one after the other, nil if that of
// one is not known.
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
