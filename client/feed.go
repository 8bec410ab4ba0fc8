package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func newFeed(src *Source) feed {
	if src.at != nil {
		return newFileFeed(src.at, src.size)
	}
	return &streamFeed{in: src.in, size: -1}
}

// readError is the error of a Source that can't be read, which ends the upload.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it is shorter now", ErrChanged)
	}
	return &fatalError{fmt.Errorf("read the file: %w", err)}
}

// fileFeed is the feed of a file that can be read at any offset.
type fileFeed struct {
	at       io.ReaderAt
	size     int64
	has      ranges.Set // on the server
	underWay ranges.Set
	missing  ranges.Set // neither
	sums     sums
}

func newFileFeed(at io.ReaderAt, size int64) *fileFeed {
	return &fileFeed{at: at, size: size}
}

func (f *fileFeed) available(int64) bool   { return !f.missing.Empty() }
func (f *fileFeed) ready() <-chan struct{} { return nil }
func (f *fileFeed) bytes() int64           { return f.has.Bytes() }

// next returns the first missing range, up to a multiple of size: chunks that begin and end
// at multiples of a power of two make the fewest fragments in a store of fixed parts.
func (f *fileFeed) next(size int64) (chunk, error) {
	first := f.missing.First()
	end := (first.Start/size + 1) * size
	if end-first.Start < size/2 {
		end += size
	}
	r := ranges.Range{Start: first.Start, End: min(end, first.End)}
	f.underWay.Add(r)
	f.missing.Remove(r)
	return chunk{Range: r, body: io.NewSectionReader(f.at, r.Start, r.Len()), total: f.size}, nil
}

func (f *fileFeed) landed(c chunk) { f.underWay.Remove(c.Range) }

func (f *fileFeed) stored(c chunk) {
	f.landed(c)
	f.has.Add(c.Range)
	f.sums.add(c.Range, *c.sum)
}

func (f *fileFeed) failed(c chunk) {
	f.landed(c)
	if !f.has.Contains(c.Range) {
		f.missing.Add(c.Range)
	}
}

func (f *fileFeed) lacks(received ranges.Set) error {
	f.has = received.Clone()
	f.missing = f.has.Missing(ranges.Of(0, f.size)).Minus(f.underWay)
	return nil
}

func (f *fileFeed) complete() (int64, bool) { return f.size, f.has.Contains(ranges.Of(0, f.size)) }

func (f *fileFeed) sum(ctx context.Context) (crc32c.Sum, error) {
	return f.sums.whole(ctx, f.at, f.size)
}
