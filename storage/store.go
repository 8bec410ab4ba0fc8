package storage

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Store keeps records, bytes and finished files. It is the only truth about an
// upload: everything else can be lost and rebuilt from it.
//
// Every method may be called at any time, by several goroutines and for the
// same upload. Every write may fail, may fail after having happened, and may be
// repeated: doing a thing twice is the same as doing it once. Errors that may
// pass are ErrUnavailable or ErrNoSpace. Ids have passed CheckID.
type Store interface {
	// Create writes rec down for good before it returns. It returns ErrExists,
	// and changes nothing, if the id is taken by whatever state of an upload, and
	// ErrGone if an upload of the id was deleted not long ago.
	Create(ctx context.Context, rec Record) error

	// Load returns what the store has of the upload, ErrNotFound or ErrGone. A
	// range in Received is there for good. Finished is set only if the file exists
	// with the upload's size.
	Load(ctx context.Context, id string) (Upload, error)

	// Declare sets the size of an upload that was created with none. It returns
	// ErrSizeConflict if another size was declared before.
	Declare(ctx context.Context, id string, size int64) error

	// Write stores what src yields from offset on, until src ends or fails. The
	// caller sees to it that src does not run past the upload's size.
	//
	// Each range is passed to durable once it is stored for good: in any order,
	// never two calls at once, all before Write returns, and as early as the
	// store can, so that a reader of the state sees a long write advance.
	// Bytes at offsets that were stored before are read and dropped: the first
	// ones stay. Between concurrent writes of one offset, one of them wins.
	//
	// If Write returns nil, every byte that src yielded is stored and was
	// reported, by this call or by another. A failing src is no failure of Write:
	// what came before is stored, and nil returned. Otherwise only what was
	// reported is there.
	Write(ctx context.Context, up Upload, offset int64, src io.Reader, durable func(ranges.Range)) error

	// Finish turns a complete upload into its file. After it has returned nil,
	// Load says Finished.
	Finish(ctx context.Context, up Upload) error

	// Open reads the file of a finished upload from offset to its end.
	Open(ctx context.Context, up Upload, offset int64) (io.ReadCloser, error)

	// Delete removes the upload with all that belongs to it, finished or not, and
	// keeps for a while the knowledge that it is gone. Deleting what does not
	// exist is no error.
	Delete(ctx context.Context, id string) error

	// List yields the ids of all uploads that may have to be finished or to
	// expire: at least those that are neither finished nor deleted, and those that
	// are Partial. An error ends it.
	List(ctx context.Context) iter.Seq2[string, error]
}

// Cleaner is a Store that has leftovers to remove which belong to no upload:
// the marks of deleted ones, and what a crash left half made.
type Cleaner interface {
	// Clean removes leftovers that came to be before the given time.
	Clean(ctx context.Context, before time.Time) error
}

// Checker is a Store that can tell whether it would take a write now.
type Checker interface {
	// Check returns nil if uploads can be stored.
	Check(ctx context.Context) error
}
