package s3

import "github.com/holdfast-upload/holdfast/storage/crc32c"

var castagnoli = crc32c.Table

// checksum is a CRC32C, as S3 knows it by x-amz-checksum-crc32c.
type checksum = crc32c.Sum

// parseChecksum reads a checksum as S3 writes it. That of a multipart upload which is a
// checksum of checksums ends in the number of parts, and is none.
func parseChecksum(text string) (checksum, bool) { return crc32c.Parse(text) }
