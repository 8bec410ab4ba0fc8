package s3

import "github.com/holdfast-upload/holdfast/storage/crc32c"

var castagnoli = crc32c.Table

// checksum is a CRC32C, as in S3's x-amz-checksum-crc32c.
type checksum = crc32c.Sum

// parseChecksum parses a checksum as S3 writes it. It returns false for a composite one (a
// checksum of checksums), which ends in the number of parts.
func parseChecksum(text string) (checksum, bool) { return crc32c.Parse(text) }
