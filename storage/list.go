package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// All yields the state of every upload that the store knows, in no order: incomplete and
// finished ones, delivered or not. One whose file was moved is known until CleanFinished. If the
// store is no IDLister, All yields what Active does. An upload that can't be loaded is yielded
// with its ID and an error. All keeps the ids that it has yielded in memory.
func (u *Uploads) All(ctx context.Context) iter.Seq2[Upload, error] {
	lister, ok := u.store.(IDLister)
	if !ok {
		return u.Active(ctx)
	}
	return u.loadEach(ctx, distinct(lister.ListIDs(ctx, "")))
}

// Active yields the state of every upload that is not done with: incomplete ones, and finished
// ones whose delivery is pending or dead-lettered, Deleted ones among these. A store may also
// yield others. An upload that can't be loaded is yielded with its ID and an error.
func (u *Uploads) Active(ctx context.Context) iter.Seq2[Upload, error] {
	return u.loadEach(ctx, u.store.List(ctx))
}

// loadEach yields the uploads with these ids. It skips those that do not exist, and stops after
// an error of ids.
func (u *Uploads) loadEach(ctx context.Context, ids iter.Seq2[string, error]) iter.Seq2[Upload, error] {
	return func(yield func(Upload, error) bool) {
		for id, err := range ids {
			if err != nil {
				yield(Upload{}, err)
				return
			}
			up, err := u.store.Load(ctx, id)
			switch {
			case errors.Is(err, ErrGone) && up.Deleted && up.deliveryPending():
				err = nil
			case errors.Is(err, ErrNotFound), errors.Is(err, ErrGone):
				continue
			case err != nil:
				up, err = Upload{Record: Record{ID: id}}, fmt.Errorf("upload %s: %w", id, err)
			}
			if !yield(up, err) {
				return
			}
		}
	}
}

// distinct yields each id once.
func distinct(ids iter.Seq2[string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		yielded := map[string]struct{}{}
		for id, err := range ids {
			if _, again := yielded[id]; again && err == nil {
				continue
			}
			yielded[id] = struct{}{}
			if !yield(id, err) {
				return
			}
		}
	}
}
