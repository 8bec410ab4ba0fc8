package s3

import (
	"fmt"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

const (
	mib = 1 << 20

	// maxParts, minPart, maxPart: what S3 allows (Amazon S3 User Guide, "multipart
	// upload limits"). The last part may be smaller.
	maxParts = 10_000
	minPart  = 5 * mib
	maxPart  = 5 << 30
	// maxSize is what the parts of an upload hold, in bytes: 48 TiB.
	maxSize = maxParts * maxPart

	// goodCell is the size near which cells are best: small enough to hold several
	// in memory, large enough that requests cost little.
	targetPartSize = 16 * mib
	// maxLearnt is how large a chunk may be and still be made a cell as it is.
	maxLearnt = 64 * mib
)

// layout is the grid of an upload: which bytes make up which part. It is decided
// once, and then a part's number depends on the offset of its bytes alone.
type layout struct {
	// UploadID is that of the multipart upload, "" for an upload of one cell, which
	// needs none.
	UploadID string `json:"uploadId"`
	// Cell is the size of every part but the last, in bytes. If Grows, because the
	// size of the upload was unknown, it is that of the first ones.
	PartSize int64 `json:"cell"`
	Grows    bool  `json:"grows,omitempty"`
	// Summed: S3 was told, when the multipart upload was begun, which checksums its
	// parts have.
	Summed bool `json:"summed,omitempty"`
}

// steps are the growing cells: so many of so many times the first, and then larger
// ones. With cells of 16 MiB they hold more than the 5 TiB that an object may have.
var steps = []struct{ count, times int64 }{{2000, 1}, {4000, 8}, {4000, 80}}

// cell returns the number of the part that holds the byte at offset, from 1 on,
// and the range of the part: size is that of the upload, if known.
func (l layout) slot(offset, size int64) (int32, ranges.Range) {
	number, r := l.grid(offset)
	if size != storage.Unknown {
		r.End = min(r.End, size)
	}
	return number, r
}

func (l layout) grid(offset int64) (int32, ranges.Range) {
	if !l.Grows {
		n := offset / l.PartSize
		return int32(n + 1), ranges.Of(n*l.PartSize, l.PartSize)
	}
	var number, start int64
	for _, s := range steps {
		size := s.times * l.PartSize
		if length := s.count * size; offset-start >= length {
			number += s.count
			start += length
			continue
		}
		n := (offset - start) / size
		return int32(number + n + 1), ranges.Of(start+n*size, size)
	}
	return int32(number + 1), ranges.Range{Start: start, End: ranges.Max}
}

// grown is what growing cells hold, the first of which have so many bytes.
func growingCapacity(slot int64) int64 {
	var size int64
	for _, s := range steps {
		size += s.count * s.times * slot
	}
	return size
}

// fits returns ErrTooLarge for a size that is above what parts can hold.
func checkMaxSize(size, limit int64) error {
	if size > limit {
		return fmt.Errorf("%w: %d bytes, S3 takes at most %d", storage.ErrTooLarge, size, limit)
	}
	return nil
}

// at is the range of the part with the given number.
func (l layout) at(number int32, size int64) (ranges.Range, bool) {
	n := int64(number) - 1
	if n < 0 || n >= maxParts {
		return ranges.Range{}, false
	}
	var start int64
	if !l.Grows {
		start = n * l.PartSize
	} else {
		for _, s := range steps {
			here := min(n, s.count)
			start += here * s.times * l.PartSize
			n -= here
		}
	}
	again, r := l.slot(start, size)
	return r, again == number && !r.Empty()
}

// choose finds the layout for an upload, of maxSize at most, of which a client sends
// a chunk of the given length: so that chunks end where cells do, if that can be. good
// is the size near which cells are best.
func choose(good, size, chunk int64) layout {
	if size == storage.Unknown {
		return layout{PartSize: good, Grows: true}
	}
	slot := good
	switch {
	case chunk <= 0 || chunk >= size:
		// It teaches nothing about where chunks end.
	case chunk < good:
		slot = chunk * ((good + chunk - 1) / chunk)
	default:
		slot = smallestDivisor(good, chunk)
	}
	if least := (size + maxParts - 1) / maxParts; slot < least {
		slot *= (least + slot - 1) / slot
	}
	return layout{PartSize: min(max(slot, minPart), maxPart)}
}

// smallestDivisor is the smallest n-th part of chunk that has at least good bytes,
// or good if that would be too large.
func smallestDivisor(good, chunk int64) int64 {
	for n := chunk / good; n > 0; n-- {
		if chunk%n == 0 && chunk/n <= maxLearnt {
			return chunk / n
		}
	}
	return good
}

// lastCell is the size of the cells that an upload is taken to have of which only the
// last chunk has come. Where that begins, a cell will begin too: so it stays in one piece.
func lastCell(good int64, c storage.Chunk) int64 {
	if c.Length <= min(c.Offset, maxLearnt) {
		return c.Offset
	}
	return good
}

// teaches tells whether the length of a chunk says anything about the others: the
// last one is as long as is left over.
func hintsChunkSize(up storage.Upload, c storage.Chunk) bool {
	return c.Offset == 0 || c.Length == storage.Unknown || up.Size == storage.Unknown || c.Offset+c.Length < up.Size
}
