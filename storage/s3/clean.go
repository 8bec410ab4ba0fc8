package s3

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// Clean implements storage.Cleaner. It removes multipart uploads that no layout
// speaks of, what a creation or deletion that broke off has left, claims of uploads that
// are over, and at last the marks of deleted uploads, by which it knows what was theirs.
//
// Nothing is removed for what one listing does not show.
func (s *Store) Clean(ctx context.Context, before time.Time) error {
	s.dropCachedBefore(time.Now().Add(-time.Hour))
	s.deletions.forgetBefore(time.Now().Add(-2 * checkDeletions))
	orphans, errs := s.orphans(ctx, before)
	for _, m := range orphans { // before what tells whose they are is removed
		errs = append(errs, s.abortOrphan(ctx, m))
	}
	over := map[string][]string{} // old claims of uploads of which nothing has been seen
	for id, t := range s.live(ctx) {
		if t.err != nil {
			return errors.Join(append(errs, t.err)...)
		}
		for _, c := range t.claims {
			if c.at.Before(before) {
				over[c.id] = append(over[c.id], c.key)
			}
		}
		if t.gone || t.record {
			delete(over, id)
		}
		if t.leftBefore(before) {
			errs = append(errs, s.cleanOne(ctx, id, before))
			continue
		}
		errs = append(errs, s.completeDeletion(ctx, id, t.listing))
	}
	return errors.Join(append(errs, s.unclaimOver(ctx, over))...)
}

// leftBefore reports whether nothing in t is of a live upload, or newer than before.
func (t *listing) leftBefore(before time.Time) bool {
	return (t.gone || !t.record) && len(t.keys) > 0 && t.touched.Before(before)
}

// cleanOne removes what is left of an upload, if a second look finds it as the first did.
func (s *Store) cleanOne(ctx context.Context, id string, before time.Time) error {
	t, err := s.list(ctx, id)
	if err != nil || !t.leftBefore(before) {
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
		return s.client.remove(ctx, s.liveKey(id, "gone"))
	}
	if _, err := s.client.head(ctx, s.liveKey(id, "record")); !errors.Is(err, errMissing) {
		return err
	}
	// What lies under the key of the file is a finished upload, or nobody's here.
	for _, m := range t.layouts {
		d, err := s.loadLayoutAt(ctx, id, m.mark)
		if err == nil {
			err = s.client.abort(ctx, s.fileKey(d.Record), d.UploadID)
		}
		if err != nil && !errors.Is(err, errMissing) {
			return err
		}
	}
	return s.client.remove(ctx, t.keys...)
}

// orphans are the multipart uploads, begun before a time, that no layout speaks of.
func (s *Store) orphans(ctx context.Context, before time.Time) (orphans []begun, errs []error) {
	for m, err := range s.client.multiparts(ctx, s.opts.Prefix) {
		if err != nil {
			return nil, append(errs, err)
		}
		if !m.at.Before(before) {
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

// abortOrphan aborts a multipart upload if no layout speaks of it still.
func (s *Store) abortOrphan(ctx context.Context, m begun) error {
	orphaned, err := s.orphaned(ctx, m)
	if err != nil || !orphaned {
		return err
	}
	return s.client.abort(ctx, m.key, m.uploadID)
}

// orphaned reports whether no layout speaks of a multipart upload. Others may use the
// bucket too: one whose key no upload has, or had, is not ours to touch.
func (s *Store) orphaned(ctx context.Context, m begun) (bool, error) {
	ids, err := s.reservedBy(ctx, strings.TrimPrefix(m.key, s.opts.Prefix))
	if err != nil {
		return false, err
	}
	ours := false
	for _, id := range ids {
		named, err := s.layoutNames(ctx, id, m)
		if err != nil || named {
			return false, err
		}
		_, err = s.Load(ctx, id)
		if err != nil && !errors.Is(err, storage.ErrGone) && !errors.Is(err, storage.ErrNotFound) {
			return false, err
		}
		ours = ours || !errors.Is(err, storage.ErrNotFound)
	}
	return ours, nil
}

// layoutNames reports whether the layout of an upload is that of a multipart upload. It
// asks for what it needs by name, which no listing has to show.
func (s *Store) layoutNames(ctx context.Context, id string, m begun) (bool, error) {
	var rec storage.Record
	err := s.loadJSON(ctx, s.liveKey(id, "record"), &rec)
	if err != nil && !errors.Is(err, errMissing) {
		return false, err
	}
	for _, mark := range slices.Compact([]string{"", creationMark(rec)}) {
		d, err := s.loadLayoutAt(ctx, id, mark)
		if err == nil && d.UploadID == m.uploadID {
			return true, nil
		}
		if err != nil && !errors.Is(err, errMissing) {
			return false, err
		}
	}
	return false, nil
}
