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
	t, err := s.traces(ctx, id)
	if err != nil {
		return err
	}
	if len(t.keys) == 0 {
		if _, err := s.loadFile(ctx, id); errors.Is(err, storage.ErrNotFound) {
			return nil
		}
	}
	if !t.gone {
		if err := s.client.put(ctx, small(s.liveKey(id, "gone"), []byte("{}"))); err != nil {
			return err
		}
	}
	s.forget(id)
	return s.removeAll(ctx, id, t)
}

// removeAll removes everything of an upload but the mark that it is gone.
func (s *Store) removeAll(ctx context.Context, id string, t traces) error {
	if t.layout {
		l, err := s.loadLayout(ctx, id)
		if err == nil {
			err = s.client.abort(ctx, s.fileKey(id), l.UploadID)
		}
		if err != nil && !errors.Is(err, errMissing) {
			return err
		}
	}
	keys := slices.DeleteFunc(t.keys, func(key string) bool { return key == s.liveKey(id, "gone") })
	return s.client.remove(ctx, append(keys, s.fileKey(id), s.doneKey(id))...)
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
			if t.record && !yield(id, nil) {
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

// Clean implements storage.Cleaner. It removes the marks of deleted uploads, what
// a creation or deletion that broke off has left, and multipart uploads that no
// layout speaks of.
func (s *Store) Clean(ctx context.Context, before time.Time) error {
	s.forgetBefore(time.Now().Add(-time.Hour))
	var errs []error
	for id, t := range s.live(ctx) {
		if t.err != nil {
			return t.err
		}
		if (t.gone || !t.record) && t.touched.Before(before) {
			errs = append(errs, s.cleanOne(ctx, id, t.traces))
		}
	}
	for m, err := range s.client.multiparts(ctx, s.opts.Prefix) {
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		if m.at.Before(before) {
			errs = append(errs, s.cleanMultipart(ctx, m))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) cleanOne(ctx context.Context, id string, t traces) error {
	if t.gone {
		if err := s.removeAll(ctx, id, t); err != nil {
			return err
		}
		return s.client.remove(ctx, s.liveKey(id, "gone"))
	}
	if _, err := s.Load(ctx, id); !errors.Is(err, storage.ErrNotFound) {
		if err != nil {
			return err
		}
		return s.client.remove(ctx, t.keys...) // the file is there: these are only left over
	}
	return s.removeAll(ctx, id, t)
}

func (s *Store) cleanMultipart(ctx context.Context, m begun) error {
	id := strings.TrimPrefix(m.key, s.opts.Prefix)
	if storage.CheckID(id) != nil {
		return nil // not one of ours
	}
	l, err := s.loadLayout(ctx, id)
	if err == nil && l.UploadID == m.uploadID {
		return nil
	}
	if err != nil && !errors.Is(err, errMissing) {
		return err
	}
	return s.client.abort(ctx, m.key, m.uploadID)
}

// forgetBefore lets go of what this process remembers of uploads that nobody has
// added to since.
func (s *Store) forgetBefore(at time.Time) {
	s.tails.dropBefore(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, d := range s.layouts {
		if d.at.Before(at) {
			delete(s.layouts, id)
		}
	}
}
