package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// All yields the state of every upload that the store knows: those of Active, and then, if the
// store is an IDLister, the others in any order. One whose file was moved is known until
// CleanFinished. An upload that can't be loaded is yielded with its ID and an error. All keeps
// the ids that it has yielded in memory.
func (u *Uploads) All(ctx context.Context) iter.Seq2[Upload, error] {
	lists := []iter.Seq2[string, error]{u.store.List(ctx)}
	if lister, ok := u.store.(IDLister); ok {
		lists = append(lists, lister.ListIDs(ctx, ""))
	}
	return u.loadEach(ctx, distinct(lists...))
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

// distinct yields the ids of some lists, each once, and their errors.
func distinct(lists ...iter.Seq2[string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		yielded := map[string]struct{}{}
		for _, list := range lists {
			for id, err := range list {
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
}
