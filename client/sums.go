package client

import (
	"context"
	"io"
	"slices"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// sums holds the checksums of the stored parts of a file.
type sums struct {
	parts []part // disjoint, in no order
}

type part struct {
	ranges.Range
	sum crc32c.Sum
}

func (s *sums) add(r ranges.Range, sum crc32c.Sum) { s.parts = append(s.parts, part{r, sum}) }

// whole returns the checksum of the first size bytes. Bytes that were stored by an earlier
// process are read from r.
func (s *sums) whole(ctx context.Context, r io.ReaderAt, size int64) (crc32c.Sum, error) {
	slices.SortFunc(s.parts, func(a, b part) int { return int(min(max(a.Start-b.Start, -1), 1)) })
	var total crc32c.Sum
	at := int64(0)
	for _, p := range append(s.parts, part{Range: ranges.Range{Start: size, End: size}}) {
		if p.Start < at {
			continue // stored twice
		}
		gap, err := sumOf(ctx, io.NewSectionReader(r, at, p.Start-at))
		if err != nil {
			return 0, err
		}
		total = total.Join(gap, p.Start-at).Join(p.sum, p.Len())
		at = p.End
	}
	return total, nil
}

// sumOf returns the checksum of all that r yields. An r that ends early is an error.
func sumOf(ctx context.Context, r *io.SectionReader) (sum crc32c.Sum, err error) {
	if r.Size() == 0 {
		return 0, nil
	}
	buf := make([]byte, min(r.Size(), 256<<10))
	for left := r.Size(); left > 0; {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		n, err := io.ReadFull(r, buf[:min(int64(len(buf)), left)])
		if err != nil {
			return 0, readError(err)
		}
		sum = sum.Append(buf[:n])
		left -= int64(n)
	}
	return sum, nil
}
