package s3

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is a CRC32C, as S3 knows it by x-amz-checksum-crc32c.
type checksum uint32

// String is the checksum as S3 writes it: big-endian, in base64.
func (c checksum) String() string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, uint32(c)))
}

// parseChecksum reads what String has written.
func parseChecksum(text string) (checksum, bool) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != 4 {
		return 0, false
	}
	return checksum(binary.BigEndian.Uint32(b)), true
}

// join is the checksum of what c is of, followed by n bytes that next is of.
//
// Appending n bytes multiplies the polynomial of what stands before by x^(8n),
// modulo the generator: so the parts of a file can be summed in any order, and
// none has to be read again.
func (c checksum) join(next checksum, n int64) checksum {
	return checksum(multiply(uint32(c), power(n))) ^ next
}

// one is the polynomial 1 in the bit order of CRC32C: the highest bit is x^0.
const one = uint32(1) << 31

// multiply multiplies two polynomials modulo Castagnoli's.
func multiply(a, b uint32) uint32 {
	var product uint32
	for m := one; m != 0; m >>= 1 {
		if a&m != 0 {
			product ^= b
		}
		low := b & 1
		b >>= 1
		if low != 0 {
			b ^= crc32.Castagnoli
		}
	}
	return product
}

// power is x^(8n) modulo Castagnoli's polynomial, by repeated squaring.
func power(n int64) uint32 {
	result, square := one, one>>8 // x^8
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			result = multiply(square, result)
		}
		square = multiply(square, square)
	}
	return result
}
