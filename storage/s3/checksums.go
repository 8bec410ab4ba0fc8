package s3

import "github.com/holdfast-upload/holdfast/storage/s3/internal/api"

// Arbiter decides which of concurrent writers creates an object, where S3 itself does not.
type Arbiter = api.Arbiter

// Checksums says which checksums S3 has to verify.
type Checksums string

const (
	// ChecksumsAuto has S3 verify a CRC32C of every part and of the whole file, as far as it
	// can do that. It is the default.
	ChecksumsAuto Checksums = ""
	// ChecksumsRequired makes Open fail if S3 can't verify both.
	ChecksumsRequired Checksums = "crc32c"
	// ChecksumsOff sends none.
	ChecksumsOff Checksums = "off"
)
