package storage

import (
	"context"
	"fmt"
	"time"
)

const (
	// keepFinished is how long a store remembers at least that an upload was finished whose
	// file is gone: its id is not free before.
	keepFinished = tombstoneTTL
	// The pauses between two rounds of forgetting: each looks at all that is remembered.
	minForgetPause = time.Minute
	maxForgetPause = 6 * time.Hour
)

// errFileMissing is why there is nothing to read of an upload that is complete.
var errFileMissing = fmt.Errorf("%w: its file was moved or deleted after the app had acknowledged it", ErrGone)

// remembered returns nil unless the file of the upload has been missing for longer than
// such uploads are said to be complete.
func (u *Uploads) checkRetention(up Upload) error {
	if up.FileMissing && !u.opts.Now().Before(up.Delivered.Add(u.opts.RememberFinished)) {
		return errFileMissing
	}
	return nil
}

// forget has the store forget finished uploads whose file has been missing for long, once
// in a while.
func (u *Uploads) cleanFinished(ctx context.Context, now time.Time) error {
	c, ok := u.store.(Cleaner)
	if !ok || !u.cleanFinishedDue(now) {
		return nil
	}
	return c.CleanFinished(ctx, now.Add(-max(keepFinished, u.opts.RememberFinished)))
}

// cleanFinishedDue reports whether it is time for the next round, and schedules the one after it.
func (u *Uploads) cleanFinishedDue(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Before(u.nextCleanFinished) {
		return false
	}
	u.nextCleanFinished = now.Add(min(max(u.opts.RememberFinished/28, minForgetPause), maxForgetPause))
	return true
}
