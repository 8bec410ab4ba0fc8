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
	for range looks {
		if err := s.deleteOnce(ctx, id); !errors.Is(err, errMissing) {
			return err
		}
	}
	return storage.Unavailable("delete", id, errMissing)
}

// deleteOnce is Delete, and errMissing if what tells of the file's key vanished on the
// way: it is elsewhere then.
func (s *Store) deleteOnce(ctx context.Context, id string) error {
	t, err := s.traces(ctx, id)
	if err != nil {
		return err
	}
	rec, there, err := s.recordFor(ctx, id, t)
	if err != nil || !there {
		return err
	}
	mark, err := s.markGone(ctx, rec, t)
	if err != nil {
		return err
	}
	s.forget(id)
	return s.removeAll(ctx, rec, t, mark.Owed != nil)
}

// recordFor is the record of an upload that is to be deleted, as far as anything still
// tells of it, and whether there is anything to delete. It is errMissing if what the
// traces show is not there any more.
func (s *Store) recordFor(ctx context.Context, id string, t traces) (rec storage.Record, there bool, err error) {
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
func (s *Store) removeAll(ctx context.Context, rec storage.Record, t traces, owed bool) error {
	err := s.abort(ctx, rec, t)
	if err == nil && rec.Key != "" {
		err = s.abortStrays(ctx, rec)
	}
	if err == nil {
		err = s.removeFile(ctx, rec)
	}
	if err != nil {
		return err
	}
	if err := s.removeKeys(ctx, rec.ID, t, owed); err != nil || rec.Key == "" {
		return err
	}
	return s.client.remove(ctx, s.claimKey(rec.Key, rec.ID))
}

// removeKeys removes the objects of a deleted upload, and first those that every reader
// reads after it has listed all: one who finds them has overlooked none of the others.
func (s *Store) removeKeys(ctx context.Context, id string, t traces, owed bool) error {
	record := s.liveKey(id, "record")
	kept, first := []string{s.liveKey(id, "gone")}, []string{record, s.liveKey(id, "layout"), s.doneKey(id)}
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
	case errors.Is(err, storage.ErrKeyTaken), errors.Is(err, errClaimed):
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

// removeFile removes the file of an upload. What lies under its key may be another's.
func (s *Store) removeFile(ctx context.Context, rec storage.Record) error {
	key := s.fileKey(rec)
	h, err := s.client.head(ctx, key)
	if errors.Is(err, errMissing) {
		return nil
	}
	if of, _ := identity(h.metadata[recordName]); err != nil || of != rec.ID {
		return err
	}
	return s.client.remove(ctx, key)
}

// abort removes the multipart upload that the layout speaks of.
func (s *Store) abort(ctx context.Context, rec storage.Record, t traces) error {
	if !t.layout {
		return nil
	}
	d, err := s.loadLayout(ctx, rec.ID)
	if err == nil {
		err = s.client.abort(ctx, s.fileKey(rec), d.UploadID)
	}
	if errors.Is(err, errMissing) {
		return nil
	}
	return err
}

// List implements storage.Store: it names the uploads of which there is anything
// live but the mark that they are gone.
func (s *Store) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for id, t := range s.live(ctx) {
			if t.err != nil {
				yield("", t.err)
				return
			}
			if t.record && !s.retired.has(id) && !yield(id, nil) {
				return
			}
		}
	}
}

type tracesOrError struct {
	traces
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

// Clean implements storage.Cleaner. It removes multipart uploads that no layout
// speaks of, what a creation or deletion that broke off has left, claims of uploads that
// are over, and at last the marks of deleted uploads, by which it knows what was theirs.
func (s *Store) Clean(ctx context.Context, before time.Time) error {
	s.forgetBefore(time.Now().Add(-time.Hour))
	var errs []error
	for m, err := range s.client.multiparts(ctx, s.opts.Prefix) {
		if err != nil {
			return err
		}
		if m.at.Before(before) {
			errs = append(errs, s.cleanMultipart(ctx, m))
		}
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
		if (t.gone || !t.record) && len(t.keys) > 0 && t.touched.Before(before) {
			errs = append(errs, s.cleanOne(ctx, id, t.traces))
		}
	}
	return errors.Join(append(errs, s.unclaimOver(ctx, over))...)
}

func (s *Store) cleanOne(ctx context.Context, id string, t traces) error {
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
	// What lies under the key of the file is a finished upload, or nobody's here.
	if d, err := s.loadLayout(ctx, id); t.layout && err == nil {
		if err := s.abort(ctx, d.Record, t); err != nil {
			return err
		}
	}
	return s.client.remove(ctx, t.keys...)
}

// cleanMultipart aborts a multipart upload that no layout speaks of. Others may
// use the bucket too: one whose key no upload has, or had, is not ours to touch.
func (s *Store) cleanMultipart(ctx context.Context, m begun) error {
	ids, err := s.claimants(ctx, strings.TrimPrefix(m.key, s.opts.Prefix))
	if err != nil {
		return err
	}
	ours := false
	for _, id := range ids {
		d, err := s.loadLayout(ctx, id)
		if err == nil && d.UploadID == m.uploadID {
			return nil
		}
		if err != nil && !errors.Is(err, errMissing) {
			return err
		}
		_, err = s.Load(ctx, id)
		if err != nil && !errors.Is(err, storage.ErrGone) && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		ours = ours || !errors.Is(err, storage.ErrNotFound)
	}
	if !ours {
		return nil
	}
	return s.client.abort(ctx, m.key, m.uploadID)
}
