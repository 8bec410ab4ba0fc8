package storage

import "context"

// Cache holds the state of incomplete uploads, so that not every request has to load
// it from the store. It may evict anything at any time. It only ever contains what
// the store has reported, so ranges in it are durable.
//
// Get and Append return ErrNotFound for an upload that is not cached. Any other
// error counts as a miss.
type Cache interface {
	// Get returns the cached state of the upload.
	Get(ctx context.Context, id string) (Upload, error)

	// Generation returns the token that Store needs. Call it before loading the upload
	// from the store, so that Store can detect what happened to the entry since.
	Generation(ctx context.Context, id string) (generation string, err error)

	// Store caches the upload as it was loaded from the store after Generation, and
	// returns the resulting entry: extents that were appended meanwhile are kept. If the
	// entry was evicted since Generation, or Append found none, appended extents may be lost
	// that were not loaded; then Store fails and changes nothing.
	Store(ctx context.Context, generation string, up Upload) (Upload, error)

	// Append atomically adds a stored extent, as Upload.Add does, and returns the
	// resulting entry: the caller that appends the last extent sees that the upload is
	// complete, and a write that is under way sees what others have stored meanwhile,
	// which decides where its next bytes go. It needs their extents for that, not only the
	// ranges, so that an answer without them would be followed by a Get.
	//
	// The work of Get and Append, and what they transfer, does not grow with the number
	// of extents that are there: an Upload shares most of them with earlier states of it,
	// and a shared cache sends only what the caller does not know yet.
	Append(ctx context.Context, id string, p Extent) (Upload, error)

	// Invalidate removes the entry of an upload that was finished or deleted, and for a
	// while rejects calls of Store for it, which could only be stale.
	Invalidate(ctx context.Context, id string) error
}
