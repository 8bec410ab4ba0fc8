// Package storage is holdfast's core. It defines what an upload is, and Uploads,
// through which every protocol creates, writes, finishes, reads and deletes uploads.
//
// An upload is an id, a size that may be set later, metadata, and the set of
// byte ranges that have been received. Nothing else. Where a byte is stored
// depends on its offset alone, so a chunk that arrives twice, late or out of order
// puts the same bytes in the same place, and correctness needs no lock.
//
// Uploads guarantees, for every protocol:
//
//   - a range is reported only after the store has it, and stays reported;
//   - the first bytes stored at an offset stay; later ones for it are dropped;
//   - an upload is reported finished only once its file exists with its size,
//     and every access to a complete but unfinished upload finishes it;
//   - the received bytes of an aborted chunk are kept;
//   - an idle upload expires and is removed with all its data.
//
// Store, Locker and Cache are small interfaces: they move bytes, hold locks and
// cache state. Rules and events are implemented here, once.
package storage

import (
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Unknown is the Size of an upload whose size has not been set yet.
const Unknown int64 = -1

// Record is the part of an upload's state that is stored at creation.
type Record struct {
	ID       string    `json:"id"`
	Size     int64     `json:"size"` // bytes, or Unknown
	Metadata Metadata  `json:"metadata,omitempty"`
	Created  time.Time `json:"created"`

	// IDPrefix is what the id begins with if Uploads.Create chooses it, so that
	// Uploads.NewestFinished finds the upload. It is not stored.
	IDPrefix string `json:"-"`
	// ClientChosenID reports that the client chose the ID, so that it may have been used before.
	ClientChosenID bool `json:"chosen,omitempty"`
	// Partial marks an upload that exists only to be concatenated with others.
	Partial bool `json:"partial,omitempty"`
	// Parts are the ids of the uploads that this one concatenates, in order.
	Parts []string `json:"parts,omitempty"`

	// Owner identifies the principal that owns the upload, "" if there is none: see
	// Policy.Authorize.
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
	// Digest is set if the upload was created for a body that was the whole file and was
	// verified before; nil otherwise. See Upload.SHA256.
	Digest *Digest `json:"digest,omitempty"`
}

// Upload is a snapshot of an upload: its record, with the Size that was set since,
// and what has been received.
type Upload struct {
	Record

	// Received are the byte ranges that are durably stored.
	Received ranges.Set
	// Extents are what the store has to remember of Received, for its own use. A store that
	// finds everything by its offset has none.
	Extents Extents
	// Finished reports that the complete file exists and can be read.
	Finished bool
	// CRC32C is the checksum of the file of a finished upload, nil if it is not known.
	CRC32C *crc32c.Sum
	// DeliveryPending reports that the upload is finished and the delivery of its event has
	// not been recorded yet: see Store.MarkDelivered.
	DeliveryPending bool
	// DeadLettered reports that the delivery is pending but is no longer retried
	// automatically: see Store.DeadLetter.
	DeadLettered bool
	// Delivered is when the event of a finished upload was recorded as delivered; stores may
	// leave it out while the file exists.
	Delivered time.Time
	// FileMissing reports that the upload was finished and its event delivered, and that
	// its file was moved or deleted since. The upload still counts as complete.
	FileMissing bool
	// Deleted reports that the upload was deleted while the delivery of its event was
	// pending. It is returned with ErrGone, and DeliveryPending until the event has been
	// delivered: see Store.Delete.
	Deleted bool
	// ModifiedAt is when data of the upload was last stored.
	ModifiedAt time.Time
}

// Chunk is what a client sends in one request.
type Chunk struct {
	Offset int64
	// Length is how many bytes the client announced, or Unknown; 0 is taken for Unknown by
	// Uploads. The Body may end early.
	Length int64
	Body   io.Reader
	// Exclusive serializes writes between processes that share the store; it may be nil.
	Exclusive Exclusive
}

// Add adds an extent to the state of the upload. Named extents that it covers are
// dropped.
func (u *Upload) Add(p Extent) {
	if p.Name != "" {
		u.Extents.dropCovered(p.Range)
		u.Extents.put(p)
	}
	u.Received.Add(p.Range)
}

// Offset returns the number of bytes received without a gap from offset 0: where a
// client that sends in order resumes.
func (u Upload) Offset() int64 {
	if u.Finished {
		return u.Size
	}
	return u.Received.Prefix()
}

// Complete reports whether every byte has been received. The next access to a
// complete upload finishes it.
func (u Upload) Complete() bool {
	return u.Finished || u.Size != Unknown && u.Received.Prefix() >= u.Size
}

// Has reports whether every byte of r has been received.
func (u Upload) Has(r ranges.Range) bool {
	return u.Finished && r.End <= u.Size || u.Received.Contains(r)
}

// Missing returns the ranges below the size that have not been received; if the size
// is Unknown, those below the last byte received.
func (u Upload) Missing() ranges.Set { return ranges.NewSet(slices.Collect(u.Gaps())...) }

// Gaps yields the ranges of Missing in ascending order.
func (u Upload) Gaps() iter.Seq[ranges.Range] {
	end := u.Size
	switch {
	case u.Finished:
		end = 0
	case end == Unknown:
		end = u.Received.End()
	}
	return u.Received.Gaps(ranges.Range{End: end})
}

// MemorySize returns about how many bytes of memory u takes.
func (u Upload) MemorySize() int64 {
	const record, text, span, extent = 512, 32, 96, 256
	n := int64(record + len(u.ID) + len(u.Key) + len(u.Owner) + span*u.Received.Count() + extent*u.Extents.Len())
	for name, value := range u.Metadata {
		n += int64(len(name) + len(value) + text)
	}
	for _, id := range u.Parts {
		n += int64(len(id) + text)
	}
	return n
}

// Clone returns a copy of u that does not change with it.
func (u Upload) Clone() Upload {
	u.Metadata = maps.Clone(u.Metadata)
	u.Parts = slices.Clone(u.Parts)
	return u
}

// Merge adds to u the extents and ranges of o, another snapshot of the same upload.
func (u *Upload) Merge(o Upload) {
	for p := range o.Extents.All() {
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
