package storage

import (
	"errors"
	"fmt"
)

// The errors that callers distinguish, with errors.Is. Any other error is
// unexpected, or a bug.
var (
	// ErrNotFound: no upload with this id is known.
	ErrNotFound = errors.New("no such upload")
	// ErrGone: the upload was deleted, has expired, or has lost its file.
	ErrGone = errors.New("the upload is gone")
	// ErrExists: an upload with this id exists already.
	ErrExists = errors.New("the upload exists already")
	// ErrKeyTaken: the key of the upload's file is used by another upload, or by
	// some other file.
	ErrKeyTaken = errors.New("the file's key is taken")
	// ErrBadID: the id is not valid; see CheckID.
	ErrBadID = errors.New("not a valid upload id")
	// ErrBadRequest: the request is invalid or contradicts itself.
	ErrBadRequest = errors.New("bad request")
	// ErrForbidden: the client is not allowed to do this.
	ErrForbidden = errors.New("forbidden")

	// ErrSizeMismatch: the upload has a different size, or has bytes beyond the given
	// size.
	ErrSizeMismatch = errors.New("the size differs from the one declared before")
	// ErrOutOfRange: the chunk exceeds the size of the upload.
	ErrOutOfRange = errors.New("bytes beyond the end of the upload")
	// ErrContentConflict: a concurrent write stored different bytes for the same range.
	ErrContentConflict = errors.New("a concurrent request sent different bytes for the same range")
	// ErrChecksum: the bytes of the upload do not match the checksum that its client gave.
	ErrChecksum = errors.New("checksum mismatch")
	// ErrTooLarge: the upload is larger than Options.MaxSize, or than the store can hold.
	ErrTooLarge = errors.New("the upload is too large")
	// ErrIncomplete: the upload still lacks bytes.
	ErrIncomplete = errors.New("the upload is not complete")
	// ErrTooManyRanges: the upload would consist of more than MaxRanges ranges.
	ErrTooManyRanges = errors.New("too many gaps between the received ranges")

	// ErrBodyAborted: the request body ended early. The bytes received are kept.
	ErrBodyAborted = errors.New("the request body ended early")
	// ErrLocked: another request holds the upload's lock and did not release it in time.
	ErrLocked = errors.New("the upload is in use by another request")
	// ErrNoSpace: the store is full. Only what was reported as stored is stored.
	ErrNoSpace = errors.New("no space left in the store")
	// ErrUnavailable: the store failed temporarily; the call may be retried.
	ErrUnavailable = errors.New("the store is not available")
	// ErrCompleting: the store shows an upload neither as incomplete nor as finished, as it
	// may for a moment while a process completes it. It is wrapped in an ErrUnavailable.
	ErrCompleting = errors.New("another process may be completing the upload")
)

// Transient reports whether the same request may succeed later: neither it nor the
// upload is at fault.
func Transient(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNoSpace) || errors.Is(err, ErrLocked)
}

// Unavailable wraps an error of op on an upload so that it is an ErrUnavailable.
// It returns nil if err is nil.
func Unavailable(op, id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w: %w", op, id, ErrUnavailable, err)
}
