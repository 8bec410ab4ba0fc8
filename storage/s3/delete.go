package s3

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// Delete implements storage.Store. It writes the tombstone first, so that after an
// interrupted deletion the upload is gone, and the rest can be removed later.
func (s *Store) Delete(ctx context.Context, id string) error {
	return s.deleteCreated(ctx, id, time.Time{})
}

// DeleteCreated implements storage.ExactDeleter.
func (s *Store) DeleteCreated(ctx context.Context, up storage.Upload) error {
	return s.deleteCreated(ctx, up.ID, up.Created)
}

// deleteCreated deletes the upload that was created at the given time, or the current one
// if that is zero, but not another one that gets the same id meanwhile.
func (s *Store) deleteCreated(ctx context.Context, id string, created time.Time) error {
	for range maxLoadAttempts {
		if err := s.deleteOnce(ctx, id, &created); !errors.Is(err, api.ErrMissing) {
			return err
		}
	}
	return storage.Unavailable("delete", id, api.ErrMissing)
}

// deleteOnce is deleteCreated without retries. It returns api.ErrMissing if the object that
// holds the file's key was removed meanwhile, or if the listing has become too old. It
// sets created.
func (s *Store) deleteOnce(ctx context.Context, id string, created *time.Time) error {
	t, err := s.list(ctx, id)
	if err != nil {
		return err
	}
	rec, there, err := s.recordFor(ctx, id, t)
	if err != nil || !there || !created.IsZero() && !rec.Created.IsZero() && !rec.Created.Equal(*created) {
		return err
	}
	*created = rec.Created
	tombstone, err := s.markGone(ctx, rec, t)
	if err != nil {
		return err
	}
	s.dropCached(id)
	s.active.deleted(id)
	if err = s.removeAll(ctx, rec, t, tombstone.Pending != nil); err == nil {
		s.deletions.add(id)
	}
	return err
}

// recordFor returns the record of an upload that is to be deleted, as far as it can still
// be found, and whether there is anything to delete. It returns api.ErrMissing if an object
// in the listing does not exist any more.
func (s *Store) recordFor(ctx context.Context, id string, t listing) (rec storage.Record, there bool, err error) {
	switch {
	case t.record:
		err = s.loadJSON(ctx, s.liveKey(id, "record"), &rec)
	case t.gone:
		err = s.loadJSON(ctx, s.liveKey(id, "gone"), &rec)
	default: // only the file may be left
		var up storage.Upload
		up, err = s.loadFile(ctx, id)
		rec = up.Record
	}
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return rec, false, nil
	case errors.Is(err, storage.ErrGone): // its file is missing
		err = nil
	}
	rec.ID = id
	return rec, err == nil, err
}

// removeAll removes all objects of a deleted upload except the tombstone, and the record
// if its event is pending. The file goes first, as the objects that hold its key are
// removed too. The reservation of that key goes last.
func (s *Store) removeAll(ctx context.Context, rec storage.Record, t listing, eventPending bool) error {
	// Whatever can't be aborted, the file must not stay readable.
	errs := []error{s.abort(ctx, rec), s.removeFile(ctx, rec)}
	if rec.Key != "" {
		errs = append(errs, s.abortMultiparts(ctx, rec))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := s.removeKeys(ctx, rec, t, eventPending); err != nil || rec.Key == "" {
		return err
	}
	return s.client.Remove(ctx, s.claimKey(rec.Key, rec.ID))
}

// removeKeys removes the objects of a deleted upload. Those that readers read after their
// listing go first: a reader that still finds them has a complete listing of the others.
func (s *Store) removeKeys(ctx context.Context, rec storage.Record, t listing, eventPending bool) error {
	id, record := rec.ID, s.liveKey(rec.ID, "record")
	kept, first := []string{s.liveKey(id, "gone")}, []string{record, s.layoutKey(rec), s.doneKey(id)}
	rest := append(s.needless.take(id), s.retired.take(id)...)
	if eventPending {
		kept, first = append(kept, record), first[1:]
	}
	for _, key := range t.keys {
		if !slices.Contains(kept, key) && !slices.Contains(first, key) {
			rest = append(rest, key)
		}
	}
	slices.Sort(rest)
	if err := s.checkAge(t); err != nil {
		return err
	}
	if err := s.client.Remove(ctx, first...); err != nil {
		return err
	}
	return s.client.Remove(ctx, slices.Compact(rest)...)
}

// abortMultiparts aborts all multipart uploads under the key of an upload with a custom
// key, including those that no layout refers to. If another upload has the key by now,
// they may belong to that one, and stay. So do they if S3 refuses to list them.
func (s *Store) abortMultiparts(ctx context.Context, rec storage.Record) error {
	switch err := s.claimLive(ctx, rec); {
	case errors.Is(err, storage.ErrKeyTaken), errors.Is(err, errReserved):
		return nil
	case err != nil:
		return err
	}
	key := s.fileKey(rec)
	for m, err := range s.client.Multiparts(ctx, key) {
		if err == nil && m.Key == key {
			err = s.client.Abort(ctx, key, m.UploadID)
		}
		if api.Refused(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeFile removes the file of an upload, unless the object under its key belongs to
// another upload, or to another creation of the same id.
func (s *Store) removeFile(ctx context.Context, rec storage.Record) error {
	key := s.fileKey(rec)
	h, err := s.client.Head(ctx, key)
	if errors.Is(err, api.ErrMissing) {
		return nil
	}
	of, created := identity(h.Metadata[recordName])
	if err != nil || of != rec.ID {
		return err
	}
	if !rec.Created.IsZero() && created != layout.CreatedAt(rec) {
		// It is this upload's file only if this record still exists: see duplicateRecord.
		if there, err := s.hasRecord(ctx, rec); err != nil || !there {
			return err
		}
	}
	return s.client.Remove(ctx, key)
}

// hasRecord reports whether the stored record is of the same creation as rec.
func (s *Store) hasRecord(ctx context.Context, rec storage.Record) (bool, error) {
	var now storage.Record
	err := s.loadJSON(ctx, s.liveKey(rec.ID, "record"), &now)
	if errors.Is(err, api.ErrMissing) {
		return false, nil
	}
	return err == nil && now.Created.Equal(rec.Created), err
}

// checkAge returns api.ErrMissing if a listing is too old for its objects to be removed. A
// process that was suspended must list again: the id may belong to another upload by now.
func (s *Store) checkAge(t listing) error {
	if s.opts.now().Sub(t.began) > s.needless.after {
		return api.ErrMissing
	}
	return nil
}

// abort aborts the multipart upload of the layout, if there is one. It does not rely on
// the listing, which may lack the layout.
func (s *Store) abort(ctx context.Context, rec storage.Record) error {
	d, err := s.loadLayout(ctx, rec)
	if err == nil {
		err = s.client.Abort(ctx, s.fileKey(rec), d.UploadID)
	}
	if errors.Is(err, api.ErrMissing) {
		return nil
	}
	return err
}

// List implements storage.Store. It yields the uploads with a record, and those with
// fragments but no record, which a process that ended early may have left beside a
// finished file: Load removes them.
func (s *Store) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for id, t := range s.live(ctx) {
			if t.err != nil {
				yield("", t.err)
				return
			}
			listed := t.record || len(t.fragments) > 0 && !t.gone
			if listed && !s.retired.has(id) && !yield(id, nil) {
				return
			}
		}
	}
}

type listingOrError struct {
	listing
	err error
}

// live yields the listings of all ids that have objects.
func (s *Store) live(ctx context.Context) iter.Seq2[string, listingOrError] {
	return func(yield func(string, listingOrError) bool) {
		base, id, t := s.liveKey("", "")[:len(s.liveKey("", ""))-1], "", listingOrError{}
		for e, err := range s.client.List(ctx, base) {
			if err != nil {
				yield("", listingOrError{err: err})
				return
			}
			next, name, _ := strings.Cut(strings.TrimPrefix(e.Key, base), "/")
			if next != id && id != "" {
				if !yield(id, t) {
					return
				}
				t = listingOrError{}
			}
			id = next
			t.add(name, e)
		}
		if id != "" {
			yield(id, t)
		}
	}
}
