package webhook

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage"
)

// Errors of Retry.
var (
	ErrNotOwed = errors.New("nothing of it has to be told")
	ErrRefused = errors.New("the app wants none of it: it answers 410")
	ErrNoHook  = errors.New("post-finish is not among the events that are sent")
)

// Retry tells the app of an upload now, parked or not, and returns nil once it has
// heard. Run must have begun.
//
// Errors: ErrNotOwed, ErrRefused, ErrNoHook, storage.ErrLocked while somebody else
// tells of it, and whatever kept the app from hearing.
func (a *App) Retry(ctx context.Context, id string) error {
	select {
	case <-a.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	if a.opts.Events == nil || a.url("post-finish") == "" {
		return ErrNoHook
	}
	waiting, cancel := context.WithTimeout(ctx, a.opts.Timeout)
	defer cancel()
	unlock, err := a.core.LockTelling(waiting, id)
	if err != nil {
		return fmt.Errorf("another try is being made: %w", err)
	}
	defer unlock()
	up, owed, err := a.core.Owed(ctx, id)
	if err == nil && !owed {
		err = ErrNotOwed
	}
	if err != nil {
		return err
	}
	return a.retryLocked(ctx, up)
}

func (a *App) retryLocked(ctx context.Context, up storage.Upload) error {
	p := &parcel{event: storage.EventID(up.ID, storage.Finished), upload: up.ID, happened: up.Touched}
	switch _, err := a.send(ctx, p, up); {
	case err != nil:
		a.counts.failed.Add(1)
		return err
	case p.refused:
		if !up.Parked {
			a.park(ctx, p, up, ErrRefused.Error())
		}
		return ErrRefused
	}
	if err := a.core.Told(ctx, up); err != nil {
		return err
	}
	if n := a.deletedOf(ctx, up); n != nil {
		a.enqueue(ctx, n)
	}
	return nil
}
