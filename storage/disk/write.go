package disk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// blockSize is how much is read from a client at most before it is written.
const blockSize = 256 << 10

var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

// Write implements storage.Store.
func (s *Store) Write(ctx context.Context, up storage.Upload, c storage.Chunk, stored func(storage.Extent) storage.Upload) error {
	u, err := s.acquire(up.ID)
	if err == errClosed {
		return s.dropLate(ctx, up.ID, c.Body)
	}
	if err != nil {
		return err
	}
	defer s.release(u)
	w := u.watch(func(r ranges.Range) { stored(storage.Extent{Range: r}) })
	defer u.unwatch(w)

	end, err := u.copyFrom(c.Body, c.Offset)
	if err == errClosed {
		return s.dropLate(ctx, up.ID, c.Body)
	}
	if err != nil {
		// What was written before is as good as if src had ended there.
		_ = u.commit()
		return err
	}
	return u.await(ranges.Range{Start: c.Offset, End: end})
}

// dropLate reads what comes for an upload that is finished, and has it all.
func (s *Store) dropLate(ctx context.Context, id string, src io.Reader) error {
	up, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	if !up.Finished {
		return storage.Unavailable("write", id, errClosed)
	}
	_, _ = io.Copy(io.Discard, src) // why src ended is its reader's concern
	return nil
}

// copyFrom writes what src yields, each read as it comes: bytes must not wait in
// memory for a client that has fallen silent. It returns the offset after them.
func (u *upload) copyFrom(src io.Reader, offset int64) (int64, error) {
	block := blocks.Get().(*[blockSize]byte)
	defer blocks.Put(block)
	for {
		n, readErr := src.Read(block[:])
		if err := u.writeBlock(offset, block[:n]); err != nil {
			return offset, err
		}
		offset += int64(n)
		if readErr != nil {
			return offset, nil // why src ended is its reader's concern
		}
	}
}

// writeBlock writes the bytes at offset that nobody has written yet, nor is
// writing now: the first bytes stay. It returns errClosed if there are some when the
// upload has all of its own.
func (u *upload) writeBlock(offset int64, p []byte) error {
	u.writing.RLock()
	defer u.writing.RUnlock()
	mine, err := u.reserve(ranges.Of(offset, int64(len(p))))
	if err != nil {
		return err
	}
	for i, r := range mine.Ranges() {
		part := p[r.Start-offset : r.End-offset]
		_, err := u.data.WriteAt(part, r.Start)
		u.markWritten(r, crc32c.Of(part), err == nil)
		if err != nil {
			for _, rest := range mine.Ranges()[i+1:] {
				u.markWritten(rest, 0, false) // somebody else may write these
			}
			return mapError("write", u.id, err)
		}
	}
	return nil
}

// claim returns the part of r that the caller, and nobody else, is to write.
func (u *upload) reserve(r ranges.Range) (ranges.Set, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed != nil {
		return ranges.Set{}, u.failed
	}
	mine := u.lacks(r)
	if u.complete && !mine.Empty() {
		return ranges.Set{}, errClosed
	}
	u.reserved.AddSet(mine)
	return mine, nil
}

// lacks returns the part of r that is neither there nor being written. What it costs does
// not depend on how much is there. The caller holds mu.
func (u *upload) lacks(r ranges.Range) ranges.Set {
	lacking := u.durable.Missing(r)
	for _, other := range []ranges.Set{u.written.Within(r), u.reserved.Within(r)} {
		for _, o := range other.Ranges() {
			lacking.Remove(o)
		}
	}
	return lacking
}

// settle records how the writing of a reserved range ended. After a failure the
// range is free again.
func (u *upload) markWritten(r ranges.Range, sum crc32c.Sum, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reserved.Remove(r)
	if ok {
		u.written.Add(r)
		u.unsaved.add(r, sum)
		if u.pending == nil {
			u.pending = time.AfterFunc(settleAfter, u.flushPending)
		}
	}
	u.changed.Broadcast()
}

func (u *upload) flushPending() {
	u.mu.Lock()
	u.pending = nil
	u.mu.Unlock()
	_ = u.commit() // a failure is met again by the writes that wait for it
}

// await returns once all of r is durable, or can't become so. Parts of r may be
// in the hands of other writes.
func (u *upload) await(r ranges.Range) error {
	for {
		if err := u.commit(); err != nil {
			return err
		}
		u.mu.Lock()
		for u.failed == nil && u.lacks(r).Empty() && !u.reserved.Within(r).Empty() {
			u.changed.Wait()
		}
		done, lost, err := u.durable.Contains(r), !u.lacks(r).Empty(), u.failed
		u.mu.Unlock()
		switch {
		case done:
			return nil
		case err != nil:
			return err
		case lost:
			return fmt.Errorf("write %s: %w: another request that wrote the same range failed", u.id, storage.ErrUnavailable)
		}
	}
}

// commit makes everything that is written durable: the bytes first, then the
// journal's word of them, then all that watch are told. One sync serves all who
// write to the upload at the time.
func (u *upload) commit() error {
	u.commitMu.Lock()
	defer u.commitMu.Unlock()
	u.mu.Lock()
	todo, err := u.written.Clone(), u.failed
	known := u.unsaved
	u.unsaved = nil
	u.mu.Unlock()
	if err != nil || todo.Empty() {
		return err
	}
	if err := u.store.sync(u.data); err != nil {
		// The kernel may have dropped the pages it could not write. Nothing that
		// is not in the journal can be relied on any more.
		err = mapError("sync", u.id, err)
		u.fail(err)
		return err
	}
	if err := u.append(summedLines(todo, known)); err != nil {
		u.saveLater(known)
		return err
	}
	u.mu.Lock()
	u.sums.addAll(known)
	for _, r := range todo.Ranges() {
		u.durable.Add(r)
		u.written.Remove(r)
	}
	u.changed.Broadcast()
	u.mu.Unlock()
	if len(u.watchers) > 0 {
		for _, r := range todo.Ranges() {
			u.watchers[0].durable(r)
		}
	}
	return nil
}

// saveLater takes back what a commit could not save.
func (u *upload) saveLater(known sums) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.unsaved.addAll(known)
}

// append adds lines to the journal; the caller holds commitMu. After a failure
// the next append begins at the same place, over what may be half a line.
func (u *upload) append(lines []byte) error {
	if _, err := u.log.WriteAt(lines, u.logEnd); err != nil {
		return mapError("journal", u.id, err)
	}
	if err := u.store.sync(u.log); err != nil {
		err = mapError("sync the journal of", u.id, err)
		u.doubtful = true
		u.fail(err)
		return err
	}
	u.logEnd += int64(len(lines))
	u.lines += bytes.Count(lines, []byte("\n"))
	return nil
}

func (u *upload) watch(durable func(ranges.Range)) *watcher {
	u.commitMu.Lock()
	defer u.commitMu.Unlock()
	w := &watcher{durable}
	u.watchers = append(u.watchers, w)
	return w
}

// unwatch returns only after the last call of the watcher has.
func (u *upload) unwatch(w *watcher) {
	u.commitMu.Lock()
	defer u.commitMu.Unlock()
	u.watchers = slices.DeleteFunc(u.watchers, func(o *watcher) bool { return o == w })
}
