package storage

import (
	"context"
	"time"
)

// Flusher is a Store whose writes can store what they hold before they end.
type Flusher interface {
	// Flush has the writes to an upload that run in this process store and report what they
	// have read so far, as far as the store can, without ending them. It returns once they
	// have, or ctx is done; with errors.ErrUnsupported if the store can't do so after all.
	Flush(ctx context.Context, id string) error
}

// FlushRelay is a Locker that reaches the holders of locks in other processes.
type FlushRelay interface {
	// OnFlush sets what is called when another process wants the writes to an upload
	// flushed whose lock this process holds.
	OnFlush(flush func(ctx context.Context, id string))
	// RelayFlush has the process that holds the lock of id flush its writes to the upload.
	// It returns once that is done, or ctx is, and reports whether there was such a process.
	RelayFlush(ctx context.Context, id string) bool
}

const (
	// flushTimeout is how long a reader waits at most for writes to be flushed.
	flushTimeout = 2 * time.Second
	// flushInterval is how often the writes to an upload are flushed at most: each time
	// costs the store something, and readers may poll.
	flushInterval = time.Second
)

// GetFlushed is Get for a client that asks where to go on. Writes to the upload that run
// meanwhile, here or where its lock is held, first store what they hold, so that the client
// need not send it again. They are not ended. If they take too long, or were asked a moment
// ago, the upload is returned as it is.
func (u *Uploads) GetFlushed(ctx context.Context, id string) (Upload, error) {
	up, err := u.Get(ctx, id)
	if err != nil || up.Finished || !u.flush(ctx, id) {
		return up, err
	}
	return u.Get(ctx, id)
}

// flush reports whether anything may have been flushed.
func (u *Uploads) flush(ctx context.Context, id string) bool {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	flushed := u.flushOwn(ctx, id)
	if l, ok := u.locker.(FlushRelay); ok {
		return l.RelayFlush(ctx, id) || flushed
	}
	return flushed
}

// flushOwn flushes the writes of this process, and reports whether it has.
func (u *Uploads) flushOwn(ctx context.Context, id string) bool {
	f, ok := u.store.(Flusher)
	return ok && u.flushDue(id) && f.Flush(ctx, id) == nil
}

// flushDue reports whether writes to the upload run that were not flushed a moment ago,
// and notes that they are flushed now.
func (u *Uploads) flushDue(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if u.active[id] == 0 || now.Sub(u.flushed[id]) < flushInterval {
		return false
	}
	u.flushed[id] = now
	return true
}
