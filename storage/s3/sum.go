package s3

import (
	"context"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

var _ storage.Summer = (*Store)(nil)

// Sum implements storage.Summer: it combines the checksums of the upload's extents. It is
// not known if they do not adjoin, or if that of one is not known: S3 lists fragments
// without checksums, so those of fragments are known from the cache only.
func (s *Store) Sum(_ context.Context, up storage.Upload) *crc32c.Sum {
	if up.Finished {
		return up.CRC32C
	}
	var whole crc32c.Sum
	for at := int64(0); at < up.Size; {
		next, ok := longestFrom(up, at)
		sum, known := layout.SumOf(next)
		if !ok || !known || next.End > up.Size {
			return nil
		}
		whole, at = whole.Join(sum, next.Len()), next.End
	}
	return &whole
}

// longestFrom returns the longest extent that begins at an offset.
func longestFrom(up storage.Upload, offset int64) (longest storage.Extent, ok bool) {
	for e := range up.Extents.Overlapping(ranges.Of(offset, 1)) {
		if e.Start == offset && e.Len() > longest.Len() {
			longest, ok = e, true
		}
	}
	return longest, ok
}
