package storage

import (
	"context"
	"fmt"
	"time"
)

const (
	// finishedTTL is the minimum time that a store keeps the record of a finished upload
	// whose file is missing. Its id is not free before.
	finishedTTL = tombstoneTTL
	// The interval of calls of CleanFinished, each of which checks all such records.
	minCleanInterval = time.Minute
	maxCleanInterval = 6 * time.Hour
)

// errFileMissing is returned for reads of an upload that is complete but has lost its file.
var errFileMissing = fmt.Errorf("%w: its file was moved or deleted after the app had acknowledged it", ErrGone)

// checkRetention returns an error if the file of the upload is missing and
// Options.RememberFinished has passed since the delivery.
func (u *Uploads) checkRetention(up Upload) error {
	if up.FileMissing && !u.opts.Now().Before(up.Delivered.Add(u.opts.RememberFinished)) {
		return errFileMissing
	}
	return nil
}

// cleanFinished removes the records of finished uploads whose file is missing and whose
// retention has ended, if that is due.
func (u *Uploads) cleanFinished(ctx context.Context, now time.Time) error {
	c, ok := u.store.(Cleaner)
	if !ok || !u.cleanFinishedDue(now) {
		return nil
	}
	return c.CleanFinished(ctx, now.Add(-max(finishedTTL, u.opts.RememberFinished)))
}

// cleanFinishedDue reports whether CleanFinished is due, and schedules the next call.
func (u *Uploads) cleanFinishedDue(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Before(u.nextCleanFinished) {
		return false
	}
	u.nextCleanFinished = now.Add(min(max(u.opts.RememberFinished/28, minCleanInterval), maxCleanInterval))
	return true
}
