package test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Content is a pseudo-random file that exists only as its seed: any part of it
// can be read at once, at the speed of AES, and no two parts are alike.
type Content struct {
	Size   int64
	cipher cipher.Block
}

// NewContent is the file of size bytes that seed stands for.
func NewContent(seed uint64, size int64) Content {
	var key [16]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a key of 16 bytes is always right
	}
	return Content{Size: size, cipher: block}
}

// ReadAt implements io.ReaderAt.
func (c Content) ReadAt(p []byte, offset int64) (int, error) {
	if offset >= c.Size {
		return 0, io.EOF
	}
	var err error
	if left := c.Size - offset; int64(len(p)) > left {
		p, err = p[:left], io.EOF
	}
	var counter [aes.BlockSize]byte
	binary.BigEndian.PutUint64(counter[8:], uint64(offset/aes.BlockSize))
	stream := cipher.NewCTR(c.cipher, counter[:])
	var skip [aes.BlockSize]byte
	stream.XORKeyStream(skip[:offset%aes.BlockSize], skip[:offset%aes.BlockSize])
	clear(p)
	stream.XORKeyStream(p, p)
	return len(p), err
}

// Part reads the bytes of r.
func (c Content) Part(r ranges.Range) *io.SectionReader {
	return io.NewSectionReader(c, r.Start, r.Len())
}

// Bytes are the bytes of r.
func (c Content) Bytes(r ranges.Range) []byte {
	p := make([]byte, r.Len())
	if _, err := io.ReadFull(c.Part(r), p); err != nil {
		panic(err) // a range beyond the content
	}
	return p
}

// All is the range of the whole file.
func (c Content) All() ranges.Range { return ranges.Of(0, c.Size) }

// Sum is the SHA-256 of the whole file in hex.
func (c Content) Sum() string {
	sum, _, err := Sum(c.Part(c.All()))
	if err != nil {
		panic(err)
	}
	return sum
}

// Sum reads r to its end and returns the SHA-256 in hex, and the length.
func Sum(r io.Reader) (sum string, n int64, err error) {
	h := sha256.New()
	n, err = io.CopyBuffer(h, r, make([]byte, 256<<10))
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// Chunks cuts the file into ranges of size bytes; the last one may be shorter.
func (c Content) Chunks(size int64) []ranges.Range {
	var out []ranges.Range
	for at := int64(0); at < c.Size; at += size {
		out = append(out, ranges.Range{Start: at, End: min(at+size, c.Size)})
	}
	return out
}
