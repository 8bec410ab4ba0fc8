package storage

import (
	"context"
	"io"
	"iter"
	"time"
)

// Store keeps records, bytes and finished files. It is the source of truth about
// uploads: everything else can be lost and rebuilt from it.
//
// Every method may be called at any time, by several goroutines and for the
// same upload. Every write may fail, may fail after taking effect, and may be
// repeated: all are idempotent. Temporary errors are ErrUnavailable or ErrNoSpace.
// Ids have passed CheckID, and an Upload is one that Create or Load has returned,
// however long ago.
type Store interface {
	// Create durably stores rec before it returns. It returns ErrExists, and changes
	// nothing, if there is an upload of the id in any state, ErrGone if one was deleted
	// recently, ErrKeyTaken if its file would replace the existing or future file of
	// another upload, and ErrTooLarge if the store can't hold a file of that size.
	Create(ctx context.Context, rec Record) error

	// Load returns the stored state of the upload, ErrNotFound or ErrGone. A
	// range in Received is durable. Finished is set only if the file exists with the
	// upload's size, or did when MarkDelivered was called: then FileMissing is set too.
	// With ErrGone the upload is returned if it is Deleted and DeliveryPending.
	Load(ctx context.Context, id string) (Upload, error)

	// SetSize sets the size of an upload that was created with Unknown. It returns
	// ErrSizeMismatch if another size was set before, and ErrTooLarge if the store can't
	// hold a file of that size. On a deleted upload this may be a no-op.
	SetSize(ctx context.Context, id string, size int64) error

	// Write stores the body of a chunk until it ends or fails. The caller ensures
	// that it does not exceed the upload's size.
	//
	// Each extent is passed to stored once it is durable: in any order, never
	// concurrently, always before Write returns, and as early as the store can, so
	// that readers of the state see a long write advance. stored returns the current
	// state of the upload.
	// Bytes at offsets that up has as received are read and dropped: the first
	// ones stay. So do those that another Write of this Store has reported since; if
	// Write sees that the new bytes differ from these it may return ErrContentConflict.
	// Where another process has stored the same offsets, either bytes may stay.
	// What is written to an upload that was deleted meanwhile may be lost without an
	// error. It does not bring the upload back, and if this Store deleted the upload,
	// nothing of it remains. If another process did, the caller completes the deletion
	// once it finds that the upload is gone: see DeletionCompleter.
	//
	// If Write returns nil, every byte that the body yielded is stored and was
	// reported, by this call or by another. A failing body is not an error of Write:
	// the bytes before are stored, and nil is returned. After an error only the
	// reported extents are stored.
	Write(ctx context.Context, up Upload, c Chunk, stored func(Extent) Upload) error

	// Finish turns a complete upload into its file. After it has returned nil, Load
	// reports the upload as Finished and DeliveryPending. Finish returns up with the
	// CRC32C of the file, as Load does from then on. It returns ErrIncomplete if the
	// store lacks bytes that up has as received, and ErrKeyTaken if another file or
	// object occupies the key. Extents missing from up are searched for. If the upload
	// is deleted meanwhile, the same holds as for Write.
	Finish(ctx context.Context, up Upload) (Upload, error)

	// MarkDelivered records that the event of a finished upload was delivered: its
	// delivery is no longer pending, and List may omit it. From then on the upload stays
	// Finished even without its file, until CleanFinished. For a Deleted upload it
	// completes the deletion.
	MarkDelivered(ctx context.Context, up Upload) error

	// DeadLetter records that the event of a finished upload is no longer delivered
	// automatically. The upload stays DeliveryPending, Load reports it as DeadLettered,
	// and List keeps yielding it. If no delivery is pending this may be a no-op.
	DeadLetter(ctx context.Context, up Upload) error

	// Open reads the file of a finished upload from offset to its end.
	Open(ctx context.Context, up Upload, offset int64) (io.ReadCloser, error)

	// Delete removes the upload with all its data, finished or not, and keeps a
	// tombstone for a while. A file at its key that is not its own stays. Deleting an
	// upload that does not exist is not an error.
	// If the upload's delivery is pending and not dead-lettered, the data of its event is
	// kept until MarkDelivered: the upload is Deleted, and List yields it.
	Delete(ctx context.Context, id string) error

	// List yields the ids of all uploads that may have to be finished, delivered or
	// expired: at least those that are neither delivered nor deleted. It stops after an
	// error.
	List(ctx context.Context) iter.Seq2[string, error]
}

// Concater is a Store that can concatenate files without moving bytes.
type Concater interface {
	// Concat makes the file of up out of those of finished uploads, as Finish would.
	// It returns false if the store can't do so in this case. If the CRC32C of all
	// files are known, Load returns that of the whole afterwards.
	Concat(ctx context.Context, up Upload, files []Upload) (bool, error)
}

// ExactDeleter is a Store in which an id may have been reused for another upload since
// the caller loaded it.
type ExactDeleter interface {
	// DeleteCreated is Delete, but only if the stored upload has the creation time of up.
	DeleteCreated(ctx context.Context, up Upload) error
}

// DeletionCompleter is a Store that several processes share, so that one may write to an
// upload while another deletes it.
type DeletionCompleter interface {
	// CompleteDeletion removes all data of an upload if its deletion has begun, and
	// reports whether it has.
	CompleteDeletion(ctx context.Context, id string) (deleted bool, err error)
}

// Cleaner is a Store with leftovers that belong to no upload: tombstones, and what a
// crash left incomplete.
type Cleaner interface {
	// Clean removes leftovers that are older than the given time.
	Clean(ctx context.Context, before time.Time) error
	// CleanFinished removes the records of uploads that were delivered before the given
	// time and whose file is missing. It may check every delivered upload.
	CleanFinished(ctx context.Context, before time.Time) error
}

// Linker is a Store from which a client can fetch a file directly.
type Linker interface {
	// Link returns a URL at which the file of a finished upload can be fetched for a
	// while by anyone who has the URL, "" if links are disabled.
	Link(ctx context.Context, up Upload) (string, error)
}

// Runner is a Store with work of its own between requests.
type Runner interface {
	// Run does that work until ctx is done. Uploads.Run calls it, once.
	Run(ctx context.Context)
}

// Checker is a Store that can report whether it would accept a write now.
type Checker interface {
	// Check returns nil if uploads can be stored.
	Check(ctx context.Context) error
}
