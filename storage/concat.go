package storage

import (
	"context"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Concat concatenates the files of an upload's Parts, in their order, and finishes the
// upload. All parts must be finished.
//
// Errors: those of Get, ErrIncomplete if a part is not finished, ErrSizeMismatch
// if the parts do not add up to the size of the upload.
func (u *Uploads) Concat(ctx context.Context, id string) (Upload, error) {
	up, err := u.authorized(ctx, id)
	if err != nil {
		return Upload{}, err
	}
	return u.finalize(ctx, up)
}

// concatenate makes the file of an upload from those of its parts: within the store
// if it can, or else by copying. The sizes of the parts determine where each byte
// goes, so that an interrupted copy can simply be repeated.
func (u *Uploads) concatenate(ctx context.Context, up Upload) (Upload, error) {
	parts, err := u.parts(ctx, up)
	if err != nil {
		return up, err
	}
	if err := u.runBeforeFinish(ctx, up); err != nil {
		return up, err
	}
	if c, ok := u.store.(Concater); ok {
		done, err := c.Concat(ctx, up, parts)
		if err != nil {
			return up, err
		}
		if done {
			return u.finished(ctx, up, JoinCRC32C(parts))
		}
	}
	return u.copyParts(ctx, up, parts)
}

// parts loads the parts of the upload. Each is loaded once, even if it is listed several
// times.
func (u *Uploads) parts(ctx context.Context, up Upload) ([]Upload, error) {
	parts, loaded, rest := make([]Upload, len(up.Parts)), map[string]Upload{}, up.Size
	for i, id := range up.Parts {
		part, ok := loaded[id]
		if !ok {
			var err error
			part, err = u.part(ctx, id)
			if err == nil && part.Owner != up.Owner { // checked in sweeps too, which have no principal
				err = ErrNotFound
			}
			if err != nil {
				return nil, fmt.Errorf("concatenate %s: part %s: %w", up.ID, id, err)
			}
			loaded[id] = part
		}
		parts[i] = part
		rest -= part.Size
	}
	if rest != 0 {
		return nil, fmt.Errorf("concatenate %s: %w: the parts have %d bytes, the upload %d", up.ID, ErrSizeMismatch, up.Size-rest, up.Size)
	}
	return parts, nil
}

func (u *Uploads) copyParts(ctx context.Context, up Upload, parts []Upload) (Upload, error) {
	var offset int64
	for _, part := range parts {
		if err := u.copyPart(ctx, up, offset, part); err != nil {
			return up, fmt.Errorf("concatenate %s: part %s: %w", up.ID, part.ID, err)
		}
		offset += part.Size
	}
	up, err := u.store.Load(ctx, up.ID)
	if err != nil || up.Finished {
		return up, err
	}
	if !up.Complete() {
		return up, fmt.Errorf("concatenate %s: %w: the parts have %d of %d bytes", up.ID, ErrUnavailable, offset, up.Size)
	}
	return u.finish(ctx, up)
}

// part loads a part, which must be finished, from the store: a stale cache may not have
// the finish, and a missing part is a permanent error.
func (u *Uploads) part(ctx context.Context, id string) (Upload, error) {
	if err := CheckID(id); err != nil {
		return Upload{}, err
	}
	part, err := u.reload(ctx, id)
	if err == nil && u.opts.Policy.Authorize != nil {
		err = u.opts.Policy.Authorize(ctx, part)
	}
	if err == nil && part.FileMissing {
		err = errFileMissing
	}
	if err != nil {
		return Upload{}, err
	}
	if part, err = u.finalize(ctx, part); err == nil && !part.Finished {
		err = ErrIncomplete
	}
	return part, err
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
	in := &body{src: file, left: part.Size, overflowErr: ErrOutOfRange}
	copied := up.Clone()
	err = u.store.Write(ctx, up, Chunk{Offset: offset, Length: part.Size, Body: in}, func(p Extent) Upload {
		copied.Add(p)
		return copied.Clone()
	})
	if err != nil {
		return err
	}
	if in.err != nil || in.n != part.Size {
		return Unavailable("read", part.ID, fmt.Errorf("%d of %d bytes: %w", in.n, part.Size, in.err))
	}
	return nil
}
