package layout

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// The cache stores, for each extent of an upload, a name and a Meta string that only
// this package interprets:
//
//	"layout"   the layout; Meta is its JSON; covers no bytes
//	"pN"       part N; Meta is its ETag and checksum
//	"fA-B"     a fragment; the suffix of its key follows
//	"file"     the whole file; Meta is its checksum, if known
const (
	fileName = "file"
	// ObjectName is also how the key of the layout's object ends, but for the creation mark.
	ObjectName = "layout"
)

// Kinds of extents.
const (
	Description storage.Kind = "layout"
	Part        storage.Kind = "part"
	Fragment    storage.Kind = "fragment"
	File        storage.Kind = "file"
)

// Extent returns the extent that holds the layout.
func (l Layout) Extent() storage.Extent {
	text, _ := json.Marshal(l) // a string and a number
	return storage.Extent{Kind: Description, Name: ObjectName, Meta: string(text)}
}

// Stored returns the extent that holds the layout of up, a zero one if there is none.
func Stored(up storage.Upload) storage.Extent {
	p, _ := up.Extents.Get(ranges.Range{}, ObjectName)
	return p
}

// PartName returns the name of the extent of a part.
func PartName(number int32) string { return fmt.Sprintf("p%d", number) }

// NewPart returns the extent of a part that fills its slot.
func NewPart(number int32, slot ranges.Range, meta string) storage.Extent {
	return storage.Extent{Range: slot, Kind: Part, Name: PartName(number), Meta: meta}
}

// PartOf returns the extent of the part that fills a slot of up, if there is one.
func PartOf(up storage.Upload, number int32, slot ranges.Range) (storage.Extent, bool) {
	return up.Extents.Get(slot, PartName(number))
}

// FileOf returns the extent of the whole file of up, if there is one.
func FileOf(up storage.Upload) (storage.Extent, bool) {
	return up.Extents.Get(ranges.Range{End: up.Size}, fileName)
}

// PartExtent returns the extent of a part with the given number of bytes, and false unless
// it fills its slot.
func (l Layout) PartExtent(number int32, length int64, meta string, size int64) (storage.Extent, bool) {
	r, ok := l.at(number, size)
	return NewPart(number, r, meta), ok && r.Len() == length
}

// NewFragment returns the extent of a fragment whose key ends with the given creation
// mark.
func NewFragment(r ranges.Range, mark string) storage.Extent {
	return storage.Extent{Range: r, Kind: Fragment, Name: fmt.Sprintf("f%x-%x%s", r.Start, r.End, mark)}
}

// NewFile returns the extent of a complete file. sum is nil if its checksum is unknown.
func NewFile(size int64, sum *crc32c.Sum) storage.Extent {
	p := storage.Extent{Range: ranges.Range{End: size}, Kind: File, Name: fileName}
	if sum != nil {
		p = WithSum(p, *sum)
	}
	return p
}

// WithFileSum returns up with the checksum of its file.
func WithFileSum(up storage.Upload, file storage.Extent) storage.Upload {
	if sum, ok := SumOf(file); ok {
		up.CRC32C = &sum
	}
	return up
}

// Fragments returns the fragments of up that overlap r, the longest first: a shorter one
// may have been merged into it and removed since.
func Fragments(up storage.Upload, r ranges.Range) []storage.Extent {
	var out []storage.Extent
	for p := range up.Extents.Overlapping(r) {
		if p.Kind == Fragment {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b storage.Extent) int { return cmp.Compare(b.Len(), a.Len()) })
	return out
}

// WithSum returns p with its checksum.
func WithSum(p storage.Extent, sum crc32c.Sum) storage.Extent {
	p.Meta = ";" + sum.String()
	return p
}

// SumOf returns the checksum of an extent, if it is known.
func SumOf(p storage.Extent) (crc32c.Sum, bool) {
	_, sum, _ := strings.Cut(p.Meta, ";")
	return crc32c.Parse(sum)
}

// Uncovered returns the fragments that are not contained in another one.
func Uncovered(fragments []storage.Extent) []storage.Extent {
	slices.SortFunc(fragments, func(a, b storage.Extent) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End))
	})
	var out []storage.Extent
	for _, p := range fragments {
		if len(out) == 0 || p.End > out[len(out)-1].End {
			out = append(out, p)
		}
	}
	return out
}
