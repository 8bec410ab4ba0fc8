package storage

import (
	"errors"
	"fmt"
)

// The errors that callers tell apart, with errors.Is. Any other error is a
// defect, or something that nobody foresaw.
var (
	// ErrNotFound: there is no upload of this id, and never was as far as is known.
	ErrNotFound = errors.New("no such upload")
	// ErrGone: the upload was deleted, has expired, or has lost its file.
	ErrGone = errors.New("the upload is gone")
	// ErrExists: there is an upload of this id already.
	ErrExists = errors.New("the upload exists already")
	// ErrKeyTaken: the upload's file would be where another's is, or is to be, or
	// something else lies.
	ErrKeyTaken = errors.New("the name of its file is taken")
	// ErrBadID: the id is not one that an upload may have; see CheckID.
	ErrBadID = errors.New("not a valid upload id")
	// ErrBadRequest: what was asked for contradicts itself.
	ErrBadRequest = errors.New("bad request")
	// ErrForbidden: whoever asks may not do this.
	ErrForbidden = errors.New("this is not allowed")

	// ErrSizeConflict: the upload has another size than the one named now, or
	// holds bytes beyond it.
	ErrSizeMismatch = errors.New("the size differs from the one declared before")
	// ErrBeyondEnd: bytes were offered past the size of the upload.
	ErrOutOfRange = errors.New("bytes beyond the end of the upload")
	// ErrContentConflict: other bytes were stored of the same range, by a write at the same
	// time.
	ErrContentConflict = errors.New("another request has sent other bytes for the same range")
	// ErrTooLarge: the upload is larger than Options.MaxSize, or than the store can hold.
	ErrTooLarge = errors.New("the upload is too large")
	// ErrIncomplete: the upload still lacks bytes.
	ErrIncomplete = errors.New("the upload is not complete")
	// ErrScattered: the upload would fall into more than MaxRanges ranges.
	ErrTooManyRanges = errors.New("too many gaps between the received ranges")

	// ErrBody: the client's bytes ended before they should have. What came is kept.
	ErrBodyAborted = errors.New("the request body broke off")
	// ErrLocked: somebody else holds the upload's lock and did not let go in time.
	ErrLocked = errors.New("the upload is in use by another request")
	// ErrNoSpace: the store is full. What was not reported as stored is not there.
	ErrNoSpace = errors.New("no space left in the store")
	// ErrUnavailable: the store could not do it now, and may be able to later.
	ErrUnavailable = errors.New("the store is not available")
)

// Transient tells whether the same request may succeed later: nothing is wrong
// with it, nor with the upload.
func Transient(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNoSpace) || errors.Is(err, ErrLocked)
}

// Unavailable wraps what a driver met while it was doing op on an upload, so
// that it counts as ErrUnavailable. A nil err stays nil.
func Unavailable(op, id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w: %w", op, id, ErrUnavailable, err)
}
