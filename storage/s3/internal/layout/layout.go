// Package layout says where the bytes of an upload go in S3: it maps offsets to parts, and
// names the objects and extents that hold them. It makes no requests.
package layout

import (
	"fmt"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

const (
	// MiB is 2^20 bytes.
	MiB = 1 << 20

	// MaxParts, MinPart and MaxPart are S3's limits (Amazon S3 User Guide, "multipart
	// upload limits"), in parts and bytes. The last part may be smaller.
	MaxParts = 10_000
	MinPart  = 5 * MiB
	MaxPart  = 5 << 30
	// MaxSize is the maximum size of an upload, in bytes: 48 TiB.
	MaxSize = MaxParts * MaxPart

	// TargetPartSize is the preferred size of parts: small enough to buffer several in
	// memory, large enough that the cost per request is low.
	TargetPartSize = 16 * MiB
	// maxChunkPart is the size up to which a client's chunk is stored as one part.
	maxChunkPart = 64 * MiB
)

// Layout maps the byte ranges of an upload (slots) to parts. It is chosen once per upload,
// so that a part's number depends only on the offset of its bytes.
type Layout struct {
	// UploadID is the id of the multipart upload, "" for an upload of one slot, which
	// needs none.
	UploadID string `json:"uploadId"`
	// PartSize is the size of every part but the last, in bytes. If Grows, because the
	// size of the upload was unknown, it is that of the first ones.
	PartSize int64 `json:"cell"`
	Grows    bool  `json:"grows,omitempty"`
	// Summed says that the multipart upload was created with a checksum algorithm, and
	// OfParts that this is only for its parts, not for the whole file.
	Summed  bool `json:"summed,omitempty"`
	OfParts bool `json:"sumsOfParts,omitempty"`
}

// steps define the growing part sizes: count parts of times the first size, and so on.
// From 16 MiB on they hold more than 5 TiB.
var steps = []struct{ count, times int64 }{{2000, 1}, {4000, 8}, {4000, 80}}

// Slot returns the number of the part that holds the byte at offset, from 1 on, and the
// part's range. size is that of the upload, or storage.Unknown.
func (l Layout) Slot(offset, size int64) (int32, ranges.Range) {
	number, r := l.grid(offset)
	if size != storage.Unknown {
		r.End = min(r.End, size)
	}
	return number, r
}

func (l Layout) grid(offset int64) (int32, ranges.Range) {
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

// GrowingCapacity returns the number of bytes that growing parts hold if the first ones
// have slot bytes.
func GrowingCapacity(slot int64) int64 {
	var size int64
	for _, s := range steps {
		size += s.count * s.times * slot
	}
	return size
}

// CheckMaxSize returns ErrTooLarge if size exceeds limit.
func CheckMaxSize(size, limit int64) error {
	if size > limit {
		return fmt.Errorf("%w: %d bytes, S3 takes at most %d", storage.ErrTooLarge, size, limit)
	}
	return nil
}

// at returns the range of the part with the given number, and false if there is none.
func (l Layout) at(number int32, size int64) (ranges.Range, bool) {
	n := int64(number) - 1
	if n < 0 || n >= MaxParts {
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
	found, r := l.Slot(start, size)
	return r, found == number && !r.Empty()
}

// Choose returns the layout for an upload of the given size (maxSize at most, or Unknown)
// of which a client sends a chunk of the given length. If possible, chunks end where slots
// do. target is the preferred part size.
func Choose(target, size, chunk int64) Layout {
	if size == storage.Unknown {
		return Layout{PartSize: target, Grows: true}
	}
	slot := target
	switch {
	case chunk <= 0 || chunk >= size:
		// The length does not show where other chunks end.
	case chunk < target:
		slot = chunk * ((target + chunk - 1) / chunk)
	default:
		slot = smallestDivisor(target, chunk)
	}
	if least := (size + MaxParts - 1) / MaxParts; slot < least {
		slot *= (least + slot - 1) / slot
	}
	return Layout{PartSize: min(max(slot, MinPart), MaxPart)}
}

// smallestDivisor returns the smallest divisor of chunk that is at least target, or target
// if that exceeds maxChunkPart.
func smallestDivisor(target, chunk int64) int64 {
	for n := chunk / target; n > 0; n-- {
		if chunk%n == 0 && chunk/n <= maxChunkPart {
			return chunk / n
		}
	}
	return target
}

// PartSizeForLast returns the part size to assume while only the last chunk of an upload
// has been received. A slot begins where that chunk does, so that it is stored as one
// fragment.
func PartSizeForLast(target int64, c storage.Chunk) int64 {
	if c.Length <= min(c.Offset, maxChunkPart) {
		return c.Offset
	}
	return target
}

// HintsChunkSize reports whether the length of a chunk is likely to be that of the others,
// which it is not for the last one.
func HintsChunkSize(up storage.Upload, c storage.Chunk) bool {
	return c.Offset == 0 || c.Length == storage.Unknown || up.Size == storage.Unknown || c.Offset+c.Length < up.Size
}
