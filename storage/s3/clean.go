package s3

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// Clean implements storage.Cleaner. It removes multipart uploads that no layout refers
// to, what interrupted creations and deletions have left, reservations of uploads that
// no longer exist, and last the tombstones of deleted uploads, which identify their
// objects.
//
// Nothing is removed merely because a single listing does not show something.
func (s *Store) Clean(ctx context.Context, before time.Time) error {
	s.dropCachedBefore(time.Now().Add(-time.Hour))
	s.deletions.forgetBefore(time.Now().Add(-2 * checkDeletions))
	orphans, errs := s.orphans(ctx, before)
	for _, m := range orphans { // before the objects are removed that show whose they are
		errs = append(errs, s.abortOrphan(ctx, m))
	}
	unowned := map[string][]string{} // keys of old reservations, by id, of uploads not listed so far
	for id, t := range s.live(ctx) {
		if t.err != nil {
			return errors.Join(append(errs, t.err)...)
		}
		for _, c := range t.claims {
			if c.at.Before(before) {
				unowned[c.id] = append(unowned[c.id], c.key)
			}
		}
		if t.gone || t.record {
			delete(unowned, id)
		}
		if t.staleBefore(before) {
			errs = append(errs, s.cleanUpload(ctx, id, before))
			continue
		}
		errs = append(errs, s.completeDeletion(ctx, id, t.listing))
	}
	return errors.Join(append(errs, s.unclaimOver(ctx, unowned))...)
}

// staleBefore reports whether all objects in t are leftovers of an upload that was deleted
// or never created, and older than before.
func (t *listing) staleBefore(before time.Time) bool {
	return (t.gone || !t.record) && len(t.keys) > 0 && t.touched.Before(before)
}

// cleanUpload removes what is left of an upload, if a second listing confirms the first.
func (s *Store) cleanUpload(ctx context.Context, id string, before time.Time) error {
	t, err := s.list(ctx, id)
	if err != nil || !t.staleBefore(before) {
		return err
	}
	if t.gone {
		if pending, err := s.eventPending(ctx, id, t); err != nil || pending {
			return err
		}
		rec, _, err := s.recordFor(ctx, id, t)
		if err == nil {
			err = s.removeAll(ctx, rec, t, false)
		}
		if err != nil {
			return err
		}
		return s.client.Remove(ctx, s.liveKey(id, "gone"))
	}
	if _, err := s.client.Head(ctx, s.liveKey(id, "record")); !errors.Is(err, api.ErrMissing) {
		return err
	}
	// An object under the file's key stays: it is a finished upload or does not belong to holdfast.
	for _, m := range t.layouts {
		d, err := s.loadLayoutAt(ctx, id, m.mark)
		if err == nil {
			err = s.client.Abort(ctx, s.fileKey(d.Record), d.UploadID)
		}
		if err != nil && !errors.Is(err, api.ErrMissing) {
			return err
		}
	}
	return s.client.Remove(ctx, t.keys...)
}

// orphans returns the multipart uploads begun before a time that no layout refers to.
func (s *Store) orphans(ctx context.Context, before time.Time) (orphans []api.Begun, errs []error) {
	for m, err := range s.client.Multiparts(ctx, s.opts.Prefix) {
		if err != nil {
			return nil, append(errs, err)
		}
		if !m.At.Before(before) {
			continue
		}
		orphaned, err := s.orphaned(ctx, m)
		if orphaned {
			orphans = append(orphans, m)
		}
		errs = append(errs, err)
	}
	return orphans, errs
}

// abortOrphan aborts a multipart upload if there is still no layout that refers to it.
func (s *Store) abortOrphan(ctx context.Context, m api.Begun) error {
	orphaned, err := s.orphaned(ctx, m)
	if err != nil || !orphaned {
		return err
	}
	return s.client.Abort(ctx, m.Key, m.UploadID)
}

// orphaned reports whether a multipart upload is the store's own, and no layout of an
// unfinished upload refers to it. Other programs may use the bucket too: those whose key
// no upload has or had are not touched.
func (s *Store) orphaned(ctx context.Context, m api.Begun) (bool, error) {
	ids, fileOf, err := s.reservedBy(ctx, strings.TrimPrefix(m.Key, s.opts.Prefix))
	if err != nil {
		return false, err
	}
	ours := false
	for _, id := range ids {
		used, err := s.layoutRefersTo(ctx, id, m)
		if err != nil || used && id != fileOf {
			return false, err
		}
		up, err := s.Load(ctx, id)
		if err != nil && !errors.Is(err, storage.ErrGone) && !errors.Is(err, storage.ErrNotFound) {
			return false, err
		}
		if used && !up.Finished {
			return false, nil
		}
		ours = ours || !errors.Is(err, storage.ErrNotFound)
	}
	return ours, nil
}

// layoutRefersTo reports whether the layout of an upload refers to multipart upload m. It
// reads the objects by key, and so does not depend on a listing.
func (s *Store) layoutRefersTo(ctx context.Context, id string, m api.Begun) (bool, error) {
	var rec storage.Record
	err := s.loadJSON(ctx, s.liveKey(id, "record"), &rec)
	if err != nil && !errors.Is(err, api.ErrMissing) {
		return false, err
	}
	for _, mark := range slices.Compact([]string{"", layout.CreationMark(rec)}) {
		d, err := s.loadLayoutAt(ctx, id, mark)
		if err == nil && d.UploadID == m.UploadID {
			return true, nil
		}
		if err != nil && !errors.Is(err, api.ErrMissing) {
			return false, err
		}
	}
	return false, nil
}
