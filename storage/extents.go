package storage

import (
	"iter"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Kind is what a store calls an extent, for its own use and as a metric label: lower-case
// letters, or "" for one that has no name.
type Kind string

// Extent is a stored piece of an upload: the bytes in Range and, for stores that need
// them, its kind, name and metadata. An Extent with an empty Range describes the whole
// upload.
type Extent struct {
	ranges.Range
	Kind       Kind
	Name, Meta string
}

// Extents are the named extents of an upload. Extents of one range have different names. A
// copy is a snapshot, which does not change with the original; lookups and changes take
// time that grows with the logarithm of their number. The zero value is empty.
type Extents struct{ m ranges.Map[described] }

// described is what is known of an extent beside its range and name.
type described struct {
	kind Kind
	meta string
}

func (d described) extent(k ranges.Key) Extent { return Extent{k.Range, d.kind, k.Name, d.meta} }

// NewExtents returns the given extents.
func NewExtents(all ...Extent) Extents {
	var e Extents
	for _, p := range all {
		e.put(p)
	}
	return e
}

// extentKey returns the key of an extent. All empty ranges are one.
func extentKey(r ranges.Range, name string) ranges.Key {
	if r.Empty() {
		r = ranges.Range{}
	}
	return ranges.Key{Range: r, Name: name}
}

func (e *Extents) put(p Extent) { e.m.Put(extentKey(p.Range, p.Name), described{p.Kind, p.Meta}) }

// Get returns the extent of a range that has the given name, and whether there is one.
func (e Extents) Get(r ranges.Range, name string) (Extent, bool) {
	k := extentKey(r, name)
	d, ok := e.m.Get(k)
	if !ok {
		return Extent{}, false
	}
	return d.extent(k), true
}

// Has reports whether p is among the extents.
func (e Extents) Has(p Extent) bool {
	d, ok := e.m.Get(extentKey(p.Range, p.Name))
	return ok && d == described{p.Kind, p.Meta}
}

// Len returns the number of extents.
func (e Extents) Len() int { return e.m.Len() }

// All yields the extents in the order of their starts: first those with an empty range.
func (e Extents) All() iter.Seq[Extent] { return extentsOf(e.m.All()) }

// Overlapping yields the extents that have bytes in r, in the order of their starts.
func (e Extents) Overlapping(r ranges.Range) iter.Seq[Extent] {
	return extentsOf(e.m.Overlapping(r))
}

// General yields the extents with an empty range.
func (e Extents) General() iter.Seq[Extent] {
	return func(yield func(Extent) bool) {
		for p := range e.All() {
			if !p.Empty() || !yield(p) {
				return
			}
		}
	}
}

func extentsOf(all iter.Seq2[ranges.Key, described]) iter.Seq[Extent] {
	return func(yield func(Extent) bool) {
		for k, d := range all {
			if !yield(d.extent(k)) {
				return
			}
		}
	}
}

// dropCovered removes the extents that r covers.
func (e *Extents) dropCovered(r ranges.Range) {
	for p := range e.Overlapping(r) {
		if r.Start <= p.Start && p.End <= r.End {
			e.m.Delete(extentKey(p.Range, p.Name))
		}
	}
}

// Equal reports whether e and o are the same.
func (e Extents) Equal(o Extents) bool {
	if e.Len() != o.Len() {
		return false
	}
	for p := range e.All() {
		if !o.Has(p) {
			return false
		}
	}
	return true
}
