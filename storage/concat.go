package storage

import (
	"context"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Concat fills an upload that was created with Parts with the files of these, in
// their order, and finishes it. All of them must be finished.
//
// Errors: those of Get, ErrIncomplete if a part is not finished.
func (u *Uploads) Concat(ctx context.Context, id string) (Upload, error) {
	up, err := u.load(ctx, id)
	if err != nil {
		return Upload{}, err
	}
	return u.settle(ctx, up)
}

// concatenate copies the parts into up. Where each byte goes is fixed by the
// sizes of the parts, so that a copy which broke off is simply made again.
func (u *Uploads) concatenate(ctx context.Context, up Upload) error {
	var offset int64
	for _, id := range up.Parts {
		part, err := u.Get(ctx, id)
		if err != nil {
			return fmt.Errorf("concatenate %s: part %s: %w", up.ID, id, err)
		}
		if !part.Finished {
			return fmt.Errorf("concatenate %s: part %s: %w", up.ID, id, ErrIncomplete)
		}
		if err := u.copyPart(ctx, up, offset, part); err != nil {
			return fmt.Errorf("concatenate %s: part %s: %w", up.ID, id, err)
		}
		offset += part.Size
	}
	return nil
}

func (u *Uploads) copyPart(ctx context.Context, up Upload, offset int64, part Upload) error {
	if up.Has(ranges.Of(offset, part.Size)) {
		return nil
	}
	file, err := u.store.Open(ctx, part, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	in := &body{src: file, left: part.Size, over: ErrBeyondEnd}
	if err := u.store.Write(ctx, up, offset, in, func(ranges.Range) {}); err != nil {
		return err
	}
	if in.err != nil || in.n != part.Size {
		return Unavailable("read", part.ID, fmt.Errorf("%d of %d bytes: %w", in.n, part.Size, in.err))
	}
	return nil
}
