package s3

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// The index remembers, for each piece of an upload, a name and a tag that only
// this package reads:
//
//	"layout"   the layout, in JSON; covers no bytes
//	"pN"       part N; its ETag and checksum
//	"fA-B"     a fragment; what its key ends with follows
//	"file"     the file, put at once or found; its checksum, if that is known
const (
	layoutName = "layout"
	fileName   = "file"
)

func (l layout) piece() storage.Extent {
	text, _ := json.Marshal(l) // a string and a number
	return storage.Extent{Name: layoutName, Meta: string(text)}
}

func partName(number int32) string { return fmt.Sprintf("p%d", number) }

func isPart(name string) bool { return strings.HasPrefix(name, "p") }

// Kind names the kind of a piece, for people.
func (s *Store) Kind(p storage.Extent) string {
	switch {
	case p.Name == layoutName, p.Name == fileName:
		return p.Name
	case isPart(p.Name):
		return "part"
	}
	return "fragment"
}

// partPiece is the piece that a stored part makes, if it is as long as its cell.
func (l layout) partPiece(p part, size int64) (storage.Extent, bool) {
	r, ok := l.at(p.number, size)
	return storage.Extent{Range: r, Name: partName(p.number), Meta: p.tag()}, ok && r.Len() == p.size
}

// fragmentPiece is the piece that a fragment makes of an upload, by the mark of whose
// creation its key ends.
func fragmentPiece(r ranges.Range, mark string) storage.Extent {
	return storage.Extent{Range: r, Name: fmt.Sprintf("f%x-%x%s", r.Start, r.End, mark)}
}

// filePiece stands for a file that is there, whole, with its checksum, if that is known.
func filePiece(size int64, sum *checksum) storage.Extent {
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

// fragments are the fragments of up that share bytes with r, the longest first:
// a short one may have been merged into it since, and be gone.
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

// layoutOf returns the layout that up has: that which was decided, or, for an
// upload that fits one cell, that of a single put. It has none before either.
func (s *Store) layoutOf(up storage.Upload) (layout, bool) {
	if p, ok := up.Extents[layoutName]; ok {
		var l layout
		return l, json.Unmarshal([]byte(p.Meta), &l) == nil
	}
	single := layout{PartSize: s.opts.partSize}
	return single, s.single(single, up)
}
