package storage

import (
	"context"
	"time"
)

// Flusher is a Store whose writes can be flushed while they run.
type Flusher interface {
	// Flush makes this process's writes to an upload store and report what they have read
	// so far, as far as the store can, without ending them. It returns once they have, or
	// ctx is done; with errors.ErrUnsupported if the store can't flush.
	Flush(ctx context.Context, id string) error
}

// FlushRelay is a Locker that can reach the holders of locks in other processes.
type FlushRelay interface {
	// OnFlush sets the function that is called when another process requests a flush of an
	// upload whose lock this process holds.
	OnFlush(flush func(ctx context.Context, id string))
	// RelayFlush makes the process that holds the lock of id flush its writes to the upload.
	// It returns once that or ctx is done, and reports whether there was such a process.
	RelayFlush(ctx context.Context, id string) bool
}

const (
	// flushTimeout is how long a reader waits for writes to be flushed.
	flushTimeout = 2 * time.Second
	// flushInterval is the minimum time between flushes of an upload: flushes cost store
	// requests, and clients may poll.
	flushInterval = time.Second
)

// GetFlushed is Get for a client that asks where to resume. It first flushes the writes to
// the upload that are in progress, in this process and in the one that holds the lock, so
// that the client need not resend their bytes. The writes continue. If they take too long,
// or were flushed a moment ago, the current state is returned.
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
	flushed := u.flushLocal(ctx, id)
	if l, ok := u.locker.(FlushRelay); ok {
		return l.RelayFlush(ctx, id) || flushed
	}
	return flushed
}

// flushLocal flushes the writes of this process, and reports whether it did.
func (u *Uploads) flushLocal(ctx context.Context, id string) bool {
	f, ok := u.store.(Flusher)
	return ok && u.flushDue(id) && f.Flush(ctx, id) == nil
}

// flushDue reports whether the upload has writes in progress that were not flushed a
// moment ago, and records that they are flushed now.
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
