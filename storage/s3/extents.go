package s3

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
)

// The cache stores, for each extent of an upload, a name and a Meta string that only
// this package interprets:
//
//	"layout"   the layout; Meta is its JSON; covers no bytes
//	"pN"       part N; Meta is its ETag and checksum
//	"fA-B"     a fragment; the suffix of its key follows
//	"file"     the whole file; Meta is its checksum, if known
const (
	layoutName = "layout"
	fileName   = "file"
)

// piece returns the extent that holds the layout.
func (l layout) piece() storage.Extent {
	text, _ := json.Marshal(l) // a string and a number
	return storage.Extent{Name: layoutName, Meta: string(text)}
}

func partName(number int32) string { return fmt.Sprintf("p%d", number) }

func isPart(name string) bool { return strings.HasPrefix(name, "p") }

// Kind returns the kind of an extent, for metrics: layout, file, part or fragment.
func (s *Store) Kind(p storage.Extent) string {
	switch {
	case p.Name == layoutName, p.Name == fileName:
		return p.Name
	case isPart(p.Name):
		return "part"
	}
	return "fragment"
}

// partExtent returns the extent of a stored part, and false unless the part fills its slot.
func (l layout) partExtent(p api.Part, size int64) (storage.Extent, bool) {
	r, ok := l.at(p.Number, size)
	return storage.Extent{Range: r, Name: partName(p.Number), Meta: p.Tag()}, ok && r.Len() == p.Size
}

// fragmentPiece returns the extent of a fragment whose key ends with the given creation
// mark.
func fragmentPiece(r ranges.Range, mark string) storage.Extent {
	return storage.Extent{Range: r, Name: fmt.Sprintf("f%x-%x%s", r.Start, r.End, mark)}
}

// filePiece returns the extent of a complete file. sum is nil if its checksum is unknown.
func filePiece(size int64, sum *crc32c.Sum) storage.Extent {
	p := storage.Extent{Range: ranges.Range{End: size}, Name: fileName}
	if sum != nil {
		p = withSum(p, *sum)
	}
	return p
}

// withFileSum returns up with the checksum of its file.
func withFileSum(up storage.Upload, file storage.Extent) storage.Upload {
	if sum, ok := pieceSum(file); ok {
		up.CRC32C = &sum
	}
	return up
}

// fragments returns the fragments of up that overlap r, the longest first: a shorter one
// may have been merged into it and removed since.
func fragments(up storage.Upload, r ranges.Range) []storage.Extent {
	var out []storage.Extent
	for _, p := range up.Extents {
		if p.Name[0] == 'f' && p.Name != fileName && !p.Range.Intersect(r).Empty() {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b storage.Extent) int { return cmp.Compare(b.Len(), a.Len()) })
	return out
}

// layoutOf returns the layout of up: the stored one, or that of a single put for an upload
// that fits one slot. It returns false if up has neither.
func (s *Store) layoutOf(up storage.Upload) (layout, bool) {
	if p, ok := up.Extents[layoutName]; ok {
		var l layout
		return l, json.Unmarshal([]byte(p.Meta), &l) == nil
	}
	single := layout{PartSize: s.opts.partSize}
	return single, s.single(single, up)
}
