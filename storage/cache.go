package storage

import "context"

// Index remembers the state of live uploads, so that not every request has to
// ask the store. It may forget anything at any time. What it says was stored was
// stored: it is told only what the store has reported.
//
// Get and Add return ErrNotFound for an upload that the index does not know. Any
// other error counts as not knowing.
type Cache interface {
	// Get returns what is known of the upload.
	Get(ctx context.Context, id string) (Upload, error)

	// Begin returns what Put asks for. It is to be called before the store is asked
	// for the upload: what happens to the upload from then on, the index notices.
	Generation(ctx context.Context, id string) (begun string, err error)

	// Put makes the upload known as it was loaded from the store since Begin, and
	// returns what is known now: pieces that were added meanwhile are kept. If the
	// index has forgotten something of the upload since Begin, it may be pieces that
	// were not loaded; then Put fails and changes nothing.
	Store(ctx context.Context, begun string, up Upload) (Upload, error)

	// Add adds a stored piece, as Upload.Add does, in one atomic step, and returns
	// what is known after it, so that whoever adds the last one sees that it is.
	Append(ctx context.Context, id string, p Extent) (Upload, error)

	// Drop forgets an upload that is over, finished or deleted, and for a while
	// takes no Put of it, which could only be out of date.
	Invalidate(ctx context.Context, id string) error
}
