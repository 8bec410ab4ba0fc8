package storage

import (
	"context"
	"fmt"
	"maps"

	"github.com/holdfast-upload/holdfast/storage/tracing"
)

// Create creates an upload and returns it. If rec.ID is empty, Create chooses the id.
// An upload of size 0 is finished at once.
//
// Errors: ErrBadID, ErrBadRequest (a negative size, an upload as its own part, more than
// MaxParts, a part more than MaxRepeats times), ErrMetadataTooLarge, ErrTooLarge, ErrExists, ErrGone (an upload of that id was deleted
// recently), ErrKeyTaken, transient ones, and any error of Policy.BeforeCreate.
func (u *Uploads) Create(ctx context.Context, rec Record) (_ Upload, err error) {
	ctx, end := tracing.Start(ctx, "create", rec.ID)
	defer func() { end(err) }()
	if rec, err = u.runBeforeCreate(ctx, rec); err != nil {
		return Upload{}, err
	}
	ctx = tracing.Of(ctx, rec.ID)
	up, err := u.createRecord(ctx, rec)
	if err != nil {
		u.createFailed(ctx, rec)
		return Upload{}, err
	}
	u.notify(ctx, u.event(Created, up))
	if len(rec.Parts) > 0 || !up.Complete() {
		return up, nil
	}
	return u.finalize(ctx, up)
}

func (u *Uploads) createRecord(ctx context.Context, rec Record) (Upload, error) {
	generation, cacheErr := u.cache.Generation(ctx, rec.ID)
	rec.Created = u.opts.Now().UTC()
	if err := u.store.Create(ctx, rec); err != nil {
		return Upload{}, err
	}
	up := Upload{Record: rec, ModifiedAt: rec.Created}
	if cacheErr == nil {
		if cached, err := u.cache.Store(ctx, generation, up); err == nil {
			up = cached
		}
	}
	return up, nil
}

func (u *Uploads) createFailed(ctx context.Context, rec Record) {
	if u.opts.Policy.CreateFailed != nil {
		u.opts.Policy.CreateFailed(context.WithoutCancel(ctx), rec)
	}
}

// runBeforeCreate completes and checks the record of a new upload, and calls
// Policy.BeforeCreate.
func (u *Uploads) runBeforeCreate(ctx context.Context, rec Record) (Record, error) {
	if rec.ClientChosenID = rec.ID != ""; !rec.ClientChosenID {
		rec.ID = rec.IDPrefix + NewID()
	}
	if err := u.checkRecord(rec); err != nil {
		return rec, err
	}
	if u.opts.Policy.BeforeCreate == nil {
		return rec, nil
	}
	id := rec.ID
	rec.Metadata = maps.Clone(rec.Metadata)
	if err := u.opts.Policy.BeforeCreate(ctx, &rec); err != nil {
		return rec, err
	}
	rec.ClientChosenID = rec.ClientChosenID || rec.ID != id
	if err := u.checkRecord(rec); err != nil {
		u.createFailed(ctx, rec)
		return rec, err
	}
	return rec, nil
}

func (u *Uploads) checkRecord(rec Record) error {
	if err := CheckID(rec.ID); err != nil {
		return err
	}
	if rec.Size < 0 && rec.Size != Unknown {
		return fmt.Errorf("%w: negative size %d", ErrBadRequest, rec.Size)
	}
	if err := checkMetadata(rec.Metadata); err != nil {
		return err
	}
	if err := checkParts(rec); err != nil {
		return err
	}
	if rec.Key != "" {
		if err := CheckKey(rec.Key); err != nil {
			return err
		}
	}
	return u.checkSize(rec, rec.Size)
}

// maxSize returns the largest size that the upload may have, 0 if there is no limit.
func (u *Uploads) maxSize(rec Record) int64 {
	if u.opts.MaxSize == 0 || rec.MaxSize > 0 && rec.MaxSize < u.opts.MaxSize {
		return rec.MaxSize
	}
	return u.opts.MaxSize
}

func (u *Uploads) checkSize(rec Record, size int64) error {
	if limit := u.maxSize(rec); limit > 0 && size > limit {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, size, limit)
	}
	return nil
}
