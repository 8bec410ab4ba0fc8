package storagetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Content is n pseudo-random bytes, always the same ones for a seed, so that a
// byte in a wrong place shows.
func Content(seed uint64, n int64) []byte {
	key := sha256.Sum256(fmt.Append(nil, "holdfast ", seed))
	data := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(data) // it never fails
	return data
}

// Chunks cuts [0, size) into ranges of n bytes, the last one being what is left.
func Chunks(size, n int64) []ranges.Range {
	var chunks []ranges.Range
	for at := int64(0); at < size; at += n {
		chunks = append(chunks, ranges.Range{Start: at, End: min(at+n, size)})
	}
	return chunks
}

// Same returns an error unless r yields exactly want.
func Same(r io.Reader, want []byte) error {
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	if err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", n, len(want), err)
	}
	if n != int64(len(want)) {
		return fmt.Errorf("%d bytes, want %d", n, len(want))
	}
	if wanted := sha256.Sum256(want); !bytes.Equal(sum.Sum(nil), wanted[:]) {
		return errors.New("the length is right, the SHA-256 is not")
	}
	return nil
}

// cut is the part of data that lies in r.
func cut(data []byte, r ranges.Range) io.Reader {
	return bytes.NewReader(data[r.Start:r.End])
}

// Gate is a reader that stops until it is opened: between what comes before the
// gate and what comes after it, a test can do as it likes.
type Gate struct {
	// Reached is closed when everything before the gate has been read.
	Reached chan struct{}

	open   chan struct{}
	before io.Reader
	after  io.Reader
}

// NewGate returns a gate between two readers.
func NewGate(before, after io.Reader) *Gate {
	return &Gate{Reached: make(chan struct{}), open: make(chan struct{}), before: before, after: after}
}

// Open lets the reader go on. It must be called once.
func (g *Gate) Open() { close(g.open) }

// Read implements io.Reader.
func (g *Gate) Read(p []byte) (int, error) {
	if g.before != nil {
		n, err := g.before.Read(p)
		if n > 0 || err == nil {
			return n, nil
		}
		g.before = nil
		close(g.Reached)
		<-g.open
	}
	return g.after.Read(p)
}
