// Package storage is holdfast's core: what an upload is, and Uploads, the one
// type through which every door creates, fills, finishes, reads and deletes one.
//
// An upload is an id, a size that may be declared late, metadata, and the set of
// byte ranges that have been received. Nothing else. Where a byte is stored
// depends on its offset alone, so a chunk that comes twice, late or out of order
// puts the same bytes in the same place, and no lock is needed for that to be
// right.
//
// What Uploads promises, whichever door asks:
//
//   - a range is reported only after the store has it, and stays reported;
//   - the first bytes stored at an offset stay; later ones for it are dropped;
//   - an upload is reported finished only once its file exists with its size,
//     and whoever looks at one that should be finished, finishes it;
//   - what arrived of a broken chunk is kept;
//   - an upload that nobody adds to is removed with all that belongs to it.
//
// Stores, lockers and indexes are small contracts behind it: they move bytes,
// hold locks and remember; rules and events live here, once.
package storage

import (
	"io"
	"maps"
	"slices"
	"time"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Unknown is the Size of an upload whose length has not been declared yet.
const Unknown int64 = -1

// Record is what is written down when an upload is created.
type Record struct {
	ID       string    `json:"id"`
	Size     int64     `json:"size"` // bytes, or Unknown
	Metadata Metadata  `json:"metadata,omitempty"`
	Created  time.Time `json:"created"`

	// Chosen tells that the client chose the ID, so that it may have been used before.
	ClientChosenID bool `json:"chosen,omitempty"`
	// Partial marks an upload that exists only to be concatenated with others.
	Partial bool `json:"partial,omitempty"`
	// Parts are the ids of the uploads that this one is the concatenation of.
	Parts []string `json:"parts,omitempty"`

	// Owner is whose upload this is, "" if nobody's: see Policy.Authorize.
	Owner string `json:"owner,omitempty"`
	// Key is the name of the finished file in the store, for a store that lets it be
	// chosen; "" leaves that to the store. See CheckKey.
	Key string `json:"key,omitempty"`
	// MaxSize is the largest size that this upload may have, in bytes; 0 is no limit
	// but that of Options.
	MaxSize int64 `json:"maxSize,omitempty"`
	// ExpireAfter is how long this upload is kept after its last byte while it is
	// unfinished; 0 leaves that to Options.
	ExpireAfter time.Duration `json:"expireAfter,omitempty"`
	// Digest is that of the body which the upload was created for, if it was the whole
	// file and was verified before; nil if not. See Upload.SHA256.
	Digest *Digest `json:"digest,omitempty"`
}

// Upload is a snapshot of an upload: its record, with the Size that was
// declared since, and what has been received.
type Upload struct {
	Record

	// Received are the byte ranges that the store has for good.
	Received ranges.Set
	// Pieces are what the store has to remember of Received, by name, for its own
	// use. A store that finds everything by its offset has none.
	Extents map[string]Extent
	// Finished tells that the file exists, whole, and can be read.
	Finished bool
	// CRC32C is the checksum of the file of a finished upload, nil if it is not known.
	CRC32C *crc32c.Sum
	// Owed tells that it is finished, and that nobody has noted yet that the event
	// of it was told: see Store.Retire.
	DeliveryPending bool
	// Parked tells that it is Owed, and that nobody goes on telling it by himself:
	// see Store.Park.
	DeadLettered bool
	// Delivered is when the event of a finished upload was noted to be delivered; stores may
	// leave it out while its file is there.
	Delivered time.Time
	// FileMissing reports that the upload was finished and its event delivered, and that
	// its file was moved or deleted since. It is complete all the same.
	FileMissing bool
	// Deleted reports that the upload was deleted while its event was to be delivered. It
	// is returned with ErrGone, and Owed until that is done: see Store.Delete.
	Deleted bool
	// Touched is when something of the upload was last stored.
	ModifiedAt time.Time
}

// Piece is something that a store has of an upload: the bytes in Range and, for
// stores that need it, the name under which it is known and what is to be known of
// it. A Piece with an empty Range is a fact about the whole upload.
type Extent struct {
	ranges.Range
	Name, Meta string
}

// Chunk is what a client sends at once.
type Chunk struct {
	Offset int64
	// Length is how many bytes the client means to send, or Unknown. The Body may
	// break off before.
	Length int64
	Body   io.Reader
	// Exclusive is for a store whose data other processes share; nil if there are none.
	Exclusive Exclusive
}

// Add adds a piece to what is known of the upload. Named pieces that it covers
// are forgotten.
func (u *Upload) Add(p Extent) {
	covers := !u.Received.Within(p.Range).Empty()
	u.Received.Add(p.Range)
	if p.Name == "" {
		return
	}
	if u.Extents == nil {
		u.Extents = map[string]Extent{}
	}
	if covers {
		maps.DeleteFunc(u.Extents, func(_ string, old Extent) bool {
			return !old.Empty() && p.Start <= old.Start && old.End <= p.End
		})
	}
	u.Extents[p.Name] = p
}

// Offset is the end of the first unbroken range: the offset from which a client
// that sends in order goes on.
func (u Upload) Offset() int64 {
	if u.Finished {
		return u.Size
	}
	return u.Received.Prefix()
}

// Complete tells whether every byte has been received. A complete upload is
// finished as soon as somebody looks at it.
func (u Upload) Complete() bool {
	return u.Finished || u.Size != Unknown && u.Received.Prefix() >= u.Size
}

// Has tells whether every byte of r has been received.
func (u Upload) Has(r ranges.Range) bool {
	return u.Finished && r.End <= u.Size || u.Received.Contains(r)
}

// Missing are the ranges below the declared size that have not been received;
// for an Unknown size those below the last byte received.
func (u Upload) Missing() ranges.Set {
	if u.Finished {
		return ranges.Set{}
	}
	end := u.Size
	if end == Unknown {
		end = u.Received.End()
	}
	return u.Received.Missing(ranges.Range{End: end})
}

// Clone is a copy of u that shares nothing with it.
func (u Upload) Clone() Upload {
	u.Metadata = maps.Clone(u.Metadata)
	u.Parts = slices.Clone(u.Parts)
	u.Received = u.Received.Clone()
	u.Extents = maps.Clone(u.Extents)
	return u
}

// merge adds to u what o knows of the same upload.
func (u *Upload) merge(o Upload) {
	for _, p := range o.Extents {
		if p.Empty() || !u.Received.Contains(p.Range) {
			u.Add(p)
		}
	}
	u.Received.AddSet(o.Received)
	if u.Size == Unknown {
		u.Size = o.Size
	}
	if o.ModifiedAt.After(u.ModifiedAt) {
		u.ModifiedAt = o.ModifiedAt
	}
}
