package s3

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// Delete implements storage.Store. The mark that the upload is gone comes first,
// so that half a deletion is as good as a whole one, and can be completed.
func (s *Store) Delete(ctx context.Context, id string) error {
	return s.deleteCreated(ctx, id, time.Time{})
}

// DeleteCreated implements storage.ExactDeleter.
func (s *Store) DeleteCreated(ctx context.Context, up storage.Upload) error {
	return s.deleteCreated(ctx, up.ID, up.Created)
}

// deleteCreated deletes the upload that was created at the given time, or whichever there
// is if that is zero, and no other that gets its id meanwhile.
func (s *Store) deleteCreated(ctx context.Context, id string, created time.Time) error {
	for range maxLoadAttempts {
		if err := s.deleteOnce(ctx, id, &created); !errors.Is(err, errMissing) {
			return err
		}
	}
	return storage.Unavailable("delete", id, errMissing)
}

// deleteOnce is deleteCreated, and errMissing if what tells of the file's key vanished on
// the way, for it is elsewhere then, or if the listing has become old. It sets created.
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
	mark, err := s.markGone(ctx, rec, t)
	if err != nil {
		return err
	}
	s.dropCached(id)
	s.active.deleted(id)
	if err = s.removeAll(ctx, rec, t, mark.Owed != nil); err == nil {
		s.deletions.note(id)
	}
	return err
}

// recordFor is the record of an upload that is to be deleted, as far as anything still
// tells of it, and whether there is anything to delete. It is errMissing if what the
// traces show is not there any more.
func (s *Store) recordFor(ctx context.Context, id string, t listing) (rec storage.Record, there bool, err error) {
	switch {
	case t.record:
		err = s.loadJSON(ctx, s.liveKey(id, "record"), &rec)
	case t.gone:
		err = s.loadJSON(ctx, s.liveKey(id, "gone"), &rec)
	default: // only the file itself shows that there is an upload
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

// removeAll removes everything of a deleted upload but the mark that it is gone, and the
// record of one that is owed. Its file
// goes first: then it does not matter that nothing tells of its key any more. The claim
// of that key goes last.
func (s *Store) removeAll(ctx context.Context, rec storage.Record, t listing, owed bool) error {
	err := s.abort(ctx, rec)
	if err == nil && rec.Key != "" {
		err = s.abortStrays(ctx, rec)
	}
	if err == nil {
		err = s.removeFile(ctx, rec)
	}
	if err != nil {
		return err
	}
	if err := s.removeKeys(ctx, rec, t, owed); err != nil || rec.Key == "" {
		return err
	}
	return s.client.remove(ctx, s.claimKey(rec.Key, rec.ID))
}

// removeKeys removes the objects of a deleted upload, and first those that every reader
// reads after it has listed all: one who finds them has overlooked none of the others.
func (s *Store) removeKeys(ctx context.Context, rec storage.Record, t listing, owed bool) error {
	id, record := rec.ID, s.liveKey(rec.ID, "record")
	kept, first := []string{s.liveKey(id, "gone")}, []string{record, s.layoutKey(rec), s.doneKey(id)}
	rest := append(s.needless.take(id), s.retired.take(id)...)
	if owed {
		kept, first = append(kept, record), first[1:]
	}
	for _, key := range t.keys {
		if !slices.Contains(kept, key) && !slices.Contains(first, key) {
			rest = append(rest, key)
		}
	}
	slices.Sort(rest)
	if err := s.recent(t); err != nil {
		return err
	}
	if err := s.client.remove(ctx, first...); err != nil {
		return err
	}
	return s.client.remove(ctx, slices.Compact(rest)...)
}

// abortStrays aborts all multipart uploads that were to become the file of an upload
// with a key of its own, also those that no layout speaks of. If the key has become
// another upload's, they may be that one's, and stay.
func (s *Store) abortStrays(ctx context.Context, rec storage.Record) error {
	switch err := s.claimLive(ctx, rec); {
	case errors.Is(err, storage.ErrKeyTaken), errors.Is(err, errReserved):
		return nil
	case err != nil:
		return err
	}
	key := s.fileKey(rec)
	for m, err := range s.client.multiparts(ctx, key) {
		if err == nil && m.key == key {
			err = s.client.abort(ctx, key, m.uploadID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeFile removes the file of an upload. What lies under its key may be another's, or
// that of another upload which had its id.
func (s *Store) removeFile(ctx context.Context, rec storage.Record) error {
	key := s.fileKey(rec)
	h, err := s.client.head(ctx, key)
	if errors.Is(err, errMissing) {
		return nil
	}
	of, created := identity(h.metadata[recordName])
	if err != nil || of != rec.ID {
		return err
	}
	if !rec.Created.IsZero() && created != createdAt(rec) {
		// It is this upload's only if the record lies beside it: see twiceCreated.
		if there, err := s.hasRecord(ctx, rec); err != nil || !there {
			return err
		}
	}
	return s.client.remove(ctx, key)
}

// hasRecord reports whether the record that is there is rec.
func (s *Store) hasRecord(ctx context.Context, rec storage.Record) (bool, error) {
	var now storage.Record
	err := s.loadJSON(ctx, s.liveKey(rec.ID, "record"), &now)
	if errors.Is(err, errMissing) {
		return false, nil
	}
	return err == nil && now.Created.Equal(rec.Created), err
}

// recent returns nil if a listing is so new that what it shows may be removed. A process
// that was stopped meanwhile has to look again: the id may be another upload's by now.
func (s *Store) recent(t listing) error {
	if s.opts.now().Sub(t.began) > s.needless.after {
		return errMissing
	}
	return nil
}

// abort removes the multipart upload that the layout speaks of, if there is one: a listing
// need not show it.
func (s *Store) abort(ctx context.Context, rec storage.Record) error {
	d, err := s.loadLayout(ctx, rec)
	if err == nil {
		err = s.client.abort(ctx, s.fileKey(rec), d.UploadID)
	}
	if errors.Is(err, errMissing) {
		return nil
	}
	return err
}

// List implements storage.Store: it names the uploads of which there is a record, and those
// of which there are fragments without one, which Load removes beside a finished file: a
// process that has ended before it did may have left them.
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

type tracesOrError struct {
	listing
	err error
}

// live yields the traces of all uploads that have any.
func (s *Store) live(ctx context.Context) iter.Seq2[string, tracesOrError] {
	return func(yield func(string, tracesOrError) bool) {
		base, id, t := s.liveKey("", "")[:len(s.liveKey("", ""))-1], "", tracesOrError{}
		for e, err := range s.client.list(ctx, base) {
			if err != nil {
				yield("", tracesOrError{err: err})
				return
			}
			next, name, _ := strings.Cut(strings.TrimPrefix(e.key, base), "/")
			if next != id && id != "" {
				if !yield(id, t) {
					return
				}
				t = tracesOrError{}
			}
			id = next
			t.add(name, e)
		}
		if id != "" {
			yield(id, t)
		}
	}
}
