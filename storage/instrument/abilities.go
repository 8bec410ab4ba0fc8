package instrument

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// The store implements all optional interfaces of a Store. Where the inner store does not,
// it returns what each interface has for "not supported in this case", so that callers fall
// back.
var (
	_ storage.Concater = (*store)(nil)
	_ storage.Cleaner  = (*store)(nil)
	_ storage.Checker  = (*store)(nil)
	_ storage.Linker   = (*store)(nil)
	_ storage.Runner   = (*store)(nil)

	_ storage.ExactDeleter = (*store)(nil)
	_ storage.Flusher      = (*store)(nil)

	_ storage.DeletionCompleter = (*store)(nil)
	_ storage.IDLister          = (*store)(nil)
	_ storage.Summer            = (*store)(nil)
)

// Sum implements storage.Summer.
func (s *store) Sum(ctx context.Context, up storage.Upload) *crc32c.Sum {
	if inner, ok := s.Store.(storage.Summer); ok {
		return inner.Sum(ctx, up)
	}
	return nil
}

// Run implements storage.Runner.
func (s *store) Run(ctx context.Context) {
	if inner, ok := s.Store.(storage.Runner); ok {
		inner.Run(ctx)
	}
}

// ListIDs implements storage.IDLister. Like List, it lasts as long as its caller iterates.
func (s *store) ListIDs(ctx context.Context, prefix string) iter.Seq2[string, error] {
	if inner, ok := s.Store.(storage.IDLister); ok {
		return inner.ListIDs(ctx, prefix)
	}
	return func(func(string, error) bool) {}
}

// CompleteDeletion implements storage.DeletionCompleter.
func (s *store) CompleteDeletion(ctx context.Context, id string) (bool, error) {
	inner, ok := s.Store.(storage.DeletionCompleter)
	if !ok {
		return false, nil
	}
	ctx, end := s.m.store.begin(ctx, "delete", id)
	deleted, err := inner.CompleteDeletion(ctx, id)
	end(err)
	return deleted, err
}

// DeleteCreated implements storage.ExactDeleter.
func (s *store) DeleteCreated(ctx context.Context, up storage.Upload) error {
	inner, ok := s.Store.(storage.ExactDeleter)
	if !ok {
		return s.Delete(ctx, up.ID)
	}
	ctx, end := s.m.store.begin(ctx, "delete", up.ID)
	err := inner.DeleteCreated(ctx, up)
	end(err)
	return err
}

// Concat implements storage.Concater.
func (s *store) Concat(ctx context.Context, up storage.Upload, files []storage.Upload) (bool, error) {
	inner, ok := s.Store.(storage.Concater)
	if !ok {
		return false, nil
	}
	ctx, end := s.m.store.begin(ctx, "concat", up.ID)
	done, err := inner.Concat(ctx, up, files)
	end(err)
	return done, err
}

// Clean implements storage.Cleaner.
func (s *store) Clean(ctx context.Context, before time.Time) error {
	inner, ok := s.Store.(storage.Cleaner)
	if !ok {
		return nil
	}
	ctx, end := s.m.store.begin(ctx, "clean", "")
	err := inner.Clean(ctx, before)
	end(err)
	return err
}

// CleanFinished implements storage.Cleaner.
func (s *store) CleanFinished(ctx context.Context, before time.Time) error {
	inner, ok := s.Store.(storage.Cleaner)
	if !ok {
		return nil
	}
	ctx, end := s.m.store.begin(ctx, "clean_finished", "")
	err := inner.CleanFinished(ctx, before)
	end(err)
	return err
}

// Check implements storage.Checker.
func (s *store) Check(ctx context.Context) error {
	inner, ok := s.Store.(storage.Checker)
	if !ok {
		return nil
	}
	ctx, end := s.m.store.begin(ctx, "check", "")
	err := inner.Check(ctx)
	end(err)
	return err
}

// Link implements storage.Linker.
func (s *store) Link(ctx context.Context, up storage.Upload) (string, error) {
	inner, ok := s.Store.(storage.Linker)
	if !ok {
		return "", nil
	}
	ctx, end := s.m.store.begin(ctx, "link", up.ID)
	link, err := inner.Link(ctx, up)
	end(err)
	return link, err
}

// Flush implements storage.Flusher.
func (s *store) Flush(ctx context.Context, id string) error {
	inner, ok := s.Store.(storage.Flusher)
	if !ok {
		return errors.ErrUnsupported
	}
	ctx, end := s.m.store.begin(ctx, "flush", id)
	err := inner.Flush(ctx, id)
	end(err)
	return err
}
