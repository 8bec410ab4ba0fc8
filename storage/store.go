package storage

import (
	"context"
	"io"
	"iter"
	"time"
)

// Store keeps records, bytes and finished files. It is the only truth about an
// upload: everything else can be lost and rebuilt from it.
//
// Every method may be called at any time, by several goroutines and for the
// same upload. Every write may fail, may fail after having happened, and may be
// repeated: doing a thing twice is the same as doing it once. Errors that may
// pass are ErrUnavailable or ErrNoSpace. Ids have passed CheckID, and an Upload is
// one that Create or Load has shown, however long ago.
type Store interface {
	// Create writes rec down for good before it returns. It returns ErrExists,
	// and changes nothing, if the id is taken by whatever state of an upload,
	// ErrGone if an upload of the id was deleted not long ago, ErrKeyTaken if its file
	// would be where that of another upload is or is to be, and ErrTooLarge if the store
	// can't hold a file of that size.
	Create(ctx context.Context, rec Record) error

	// Load returns what the store has of the upload, ErrNotFound or ErrGone. A
	// range in Received is there for good. Finished is set only if the file exists
	// with the upload's size, or did when the upload was retired: then FileMissing
	// is set too. With ErrGone the upload is returned if it is Deleted and Owed.
	Load(ctx context.Context, id string) (Upload, error)

	// Declare sets the size of an upload that was created with none. It returns
	// ErrSizeConflict if another size was declared before, and ErrTooLarge if it can't
	// hold a file of that size. That of an upload that was deleted may be set in vain.
	SetSize(ctx context.Context, id string, size int64) error

	// Write stores the body of a chunk, until that ends or fails. The caller sees
	// to it that it does not run past the upload's size.
	//
	// Each piece is passed to stored once it is stored for good: in any order,
	// never two calls at once, all before Write returns, and as early as the
	// store can, so that a reader of the state sees a long write advance. What
	// stored returns is the upload as it is known then.
	// Bytes at offsets that up says were received are read and dropped: the first
	// ones stay. So do those that another Write of this Store has reported since; if it
	// sees that others than these have come, Write may return ErrContentConflict. Of
	// bytes that another process has stored, one or the other stays.
	// What is written to an upload that was deleted meanwhile may be lost without an
	// error; it does not bring the upload back, and if this Store deleted it, nothing of
	// it is left. If another process did, the caller completes the deletion when it finds
	// the upload to be gone: see DeletionCompleter.
	//
	// If Write returns nil, every byte that the body yielded is stored and was
	// reported, by this call or by another. A failing body is no failure of Write:
	// what came before is stored, and nil returned. Otherwise only what was
	// reported is there.
	Write(ctx context.Context, up Upload, c Chunk, stored func(Extent) Upload) error

	// Finish turns a complete upload into its file. After it has returned nil,
	// Load says Finished and Owed. The upload that it returns is up with the CRC32C of
	// the file, as Load says it from then on. It returns ErrIncomplete if the store lacks
	// bytes that up says it has, and ErrKeyTaken if something else has come to lie
	// where the file should. Pieces that up lacks are looked for. If the upload is
	// deleted meanwhile, what holds for Write holds for Finish.
	Finish(ctx context.Context, up Upload) (Upload, error)

	// Retire notes that the event of a finished upload was told: it is not Owed any
	// more, and List need not name it. From then on it is Finished without its file too,
	// until CleanFinished. Retiring one that is Deleted ends its deletion.
	MarkDelivered(ctx context.Context, up Upload) error

	// Park notes that the event of a finished upload is not told any more unless
	// somebody wishes it. It stays Owed, Load says that it is Parked, and List goes on
	// naming it. Of an upload that is not Owed it may be noted in vain.
	DeadLetter(ctx context.Context, up Upload) error

	// Open reads the file of a finished upload from offset to its end.
	Open(ctx context.Context, up Upload, offset int64) (io.ReadCloser, error)

	// Delete removes the upload with all that belongs to it, finished or not, and
	// keeps for a while the knowledge that it is gone. What lies where its file would
	// be, but is not its file, stays. Deleting what does not exist is no error.
	// Of an upload that is Owed, and not Parked, what its event tells is kept until it is
	// retired: it is Deleted, and List names it.
	Delete(ctx context.Context, id string) error

	// List yields the ids of all uploads that may have to be finished, told of, or
	// to expire: at least those that are neither retired nor deleted. An error ends
	// it.
	List(ctx context.Context) iter.Seq2[string, error]
}

// Concater is a Store that can make a file out of others without moving bytes.
type Concater interface {
	// Concat makes the file of up out of those of finished uploads, as Finish would.
	// It returns false if it can't be done in this case. If the CRC32C of all files are
	// known, Load says that of the whole afterwards.
	Concat(ctx context.Context, up Upload, files []Upload) (bool, error)
}

// ExactDeleter is a Store in which an id may have become another upload's since the caller
// has loaded it.
type ExactDeleter interface {
	// DeleteCreated is Delete, but of no upload that was created at another time than up.
	DeleteCreated(ctx context.Context, up Upload) error
}

// DeletionCompleter is a Store whose data several processes share, so that one may store
// something of an upload that another one deletes.
type DeletionCompleter interface {
	// CompleteDeletion removes all that there is of an upload if its deletion has begun,
	// and reports whether it has.
	CompleteDeletion(ctx context.Context, id string) (deleted bool, err error)
}

// Cleaner is a Store that has leftovers to remove which belong to no upload:
// the marks of deleted ones, and what a crash left half made.
type Cleaner interface {
	// Clean removes leftovers that came to be before the given time.
	Clean(ctx context.Context, before time.Time) error
	// CleanFinished forgets the uploads that were retired before the given time and whose
	// file is missing. It may look at all that were ever retired.
	CleanFinished(ctx context.Context, before time.Time) error
}

// Linker is a Store that can let a client fetch a file from where it lies.
type Linker interface {
	// Link returns a URL at which whoever has it can GET the file of a finished upload
	// for a while, "" if that is not wanted.
	Link(ctx context.Context, up Upload) (string, error)
}

// Checker is a Store that can tell whether it would take a write now.
type Checker interface {
	// Check returns nil if uploads can be stored.
	Check(ctx context.Context) error
}
