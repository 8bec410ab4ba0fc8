package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// All yields the state of every upload that is not done with: incomplete ones, and finished
// ones whose delivery is pending or dead-lettered, Deleted ones among these. A store may also
// yield others. An upload that can't be loaded is yielded with its ID and an error.
func (u *Uploads) All(ctx context.Context) iter.Seq2[Upload, error] {
	return func(yield func(Upload, error) bool) {
		for id, err := range u.store.List(ctx) {
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
