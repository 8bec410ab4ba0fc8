// Package crc32c computes CRC32C checksums that can be combined: the checksum of a file
// is computed from those of its parts, in any order of arrival, without reading the
// bytes again.
package crc32c

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Table is the CRC32C table for package hash/crc32.
var Table = crc32.MakeTable(crc32.Castagnoli)

// Sum is a CRC32C checksum. The zero value is that of no bytes.
type Sum uint32

// Of returns the checksum of b.
func Of(b []byte) Sum { return Sum(crc32.Checksum(b, Table)) }

// Append returns the checksum of the data of s followed by b.
func (s Sum) Append(b []byte) Sum { return Sum(crc32.Update(uint32(s), Table, b)) }

// Join returns the checksum of the data of s followed by n bytes with the checksum next.
//
// Appending n bytes multiplies the polynomial of the preceding data by x^(8n), modulo
// the generator.
func (s Sum) Join(next Sum, n int64) Sum { return Sum(multiply(uint32(s), power(n))) ^ next }

// Bytes returns the checksum in big-endian order.
func (s Sum) Bytes() []byte { return binary.BigEndian.AppendUint32(nil, uint32(s)) }

// String returns the checksum in the format of S3 and Google: big-endian, in base64.
func (s Sum) String() string { return base64.StdEncoding.EncodeToString(s.Bytes()) }

// Parse parses the format of String, and reports whether text is valid.
func Parse(text string) (Sum, bool) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != 4 {
		return 0, false
	}
	return Sum(binary.BigEndian.Uint32(b)), true
}

// MarshalText implements encoding.TextMarshaler.
func (s Sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Sum) UnmarshalText(text []byte) error {
	sum, ok := Parse(string(text))
	if !ok {
		return fmt.Errorf("%.20q is not a CRC32C in base64", text)
	}
	*s = sum
	return nil
}

// one is the polynomial 1 in the bit order of CRC32C: the highest bit is x^0.
const one = uint32(1) << 31

// multiply multiplies two polynomials modulo the Castagnoli polynomial.
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

// power returns x^(8n) modulo the Castagnoli polynomial, by repeated squaring.
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
