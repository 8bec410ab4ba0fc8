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

// blockSize is the size in bytes of the largest read from a client before a write.
const blockSize = 256 << 10

// writebackSize is how many bytes of a request are written before the system is asked to begin
// writing them to the disk: a commit then waits for the last ones only.
const writebackSize = 8 << 20

var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

// Write implements storage.Store.
func (s *Store) Write(ctx context.Context, up storage.Upload, c storage.Chunk, stored func(storage.Extent) storage.Upload) error {
	u, err := s.acquire(up.ID)
	if err == errClosed {
		return s.discardBody(ctx, up.ID, c.Body)
	}
	if err != nil {
		return err
	}
	defer s.release(u)
	w := u.watch(func(r ranges.Range) { stored(storage.Extent{Range: r}) })
	defer u.unwatch(w)

	end, err := u.copyFrom(c.Body, c.Offset)
	if err == errClosed {
		return s.discardBody(ctx, up.ID, c.Body)
	}
	if err != nil {
		// Keep what was written before, as if the body had ended there.
		_ = u.commit()
		return err
	}
	return u.await(ranges.Range{Start: c.Offset, End: end})
}

// discardBody reads and drops a body for an upload that is finished, and so has all its
// bytes.
func (s *Store) discardBody(ctx context.Context, id string, src io.Reader) error {
	up, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	if !up.Finished {
		return storage.Unavailable("write", id, errClosed)
	}
	_, _ = io.Copy(io.Discard, src) // the caller sees the errors of src
	return nil
}

// copyFrom writes the bytes of src, each read at once: they must not wait in memory for a
// client that stalls. It returns the offset after them.
func (u *upload) copyFrom(src io.Reader, offset int64) (int64, error) {
	block := blocks.Get().(*[blockSize]byte)
	defer blocks.Put(block)
	begun := offset
	for {
		n, readErr := src.Read(block[:])
		if err := u.writeBlock(offset, block[:n]); err != nil {
			return offset, err
		}
		offset += int64(n)
		if offset-begun >= u.store.writebackSize && u.startWriteback(ranges.Range{Start: begun, End: offset}) {
			begun = offset
		}
		if readErr != nil {
			return offset, nil // the caller sees the errors of src
		}
	}
}

// writeBlock writes those bytes of p, at offset, that are neither stored nor being written:
// the first write of a byte wins. It returns errClosed if there are such bytes but the
// upload is complete.
func (u *upload) writeBlock(offset int64, p []byte) error {
	u.writing.RLock()
	defer u.writing.RUnlock()
	reserved, err := u.reserve(ranges.Of(offset, int64(len(p))))
	if err != nil {
		return err
	}
	for i, r := range reserved.Ranges() {
		part := p[r.Start-offset : r.End-offset]
		_, err := u.data.WriteAt(part, r.Start)
		u.markWritten(r, crc32c.Of(part), err == nil)
		if err != nil {
			for _, rest := range reserved.Ranges()[i+1:] {
				u.markWritten(rest, 0, false) // another request may write these
			}
			return mapError("write", u.id, err)
		}
	}
	return nil
}

// reserve returns the part of r that the caller is to write, exclusively.
func (u *upload) reserve(r ranges.Range) (ranges.Set, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed != nil {
		return ranges.Set{}, u.failed
	}
	lacking := u.missing(r)
	if u.complete && !lacking.Empty() {
		return ranges.Set{}, errClosed
	}
	u.reserved.AddSet(lacking)
	return lacking, nil
}

// missing returns the part of r that is neither stored nor being written. Its cost does not
// depend on how much is stored. The caller holds mu.
func (u *upload) missing(r ranges.Range) ranges.Set {
	lacking := u.durable.Missing(r)
	for _, other := range []ranges.Set{u.written.Within(r), u.reserved.Within(r)} {
		for _, o := range other.Ranges() {
			lacking.Remove(o)
		}
	}
	return lacking
}

// markWritten ends the reservation of a range. If ok is false, the range may be reserved
// again.
func (u *upload) markWritten(r ranges.Range, sum crc32c.Sum, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reserved.Remove(r)
	if ok {
		u.written.Add(r)
		u.unsaved.add(r, sum)
		if u.pending == nil {
			u.pending = time.AfterFunc(flushAfter, u.flushPending)
		}
	}
	u.changed.Broadcast()
}

// startWriteback has the system begin to write r to the disk. It returns false during a commit,
// which does the same for all that is written. A failure ends writing, as that of a commit does.
func (u *upload) startWriteback(r ranges.Range) bool {
	if u.store.noSync {
		return true
	}
	if !u.commitMu.TryLock() {
		return false
	}
	defer u.commitMu.Unlock()
	if err := u.data.StartWriteback(r.Start, r.Len()); err != nil {
		u.fail(mapError("write", u.id, err))
	}
	return true
}

func (u *upload) flushPending() {
	u.mu.Lock()
	u.pending = nil
	u.mu.Unlock()
	_ = u.commit() // writes that wait for the bytes get the error
}

// await returns once all of r is durable, or cannot become so. Other requests may be writing
// parts of r.
func (u *upload) await(r ranges.Range) error {
	for {
		if err := u.commit(); err != nil {
			return err
		}
		u.mu.Lock()
		for u.failed == nil && u.missing(r).Empty() && !u.reserved.Within(r).Empty() {
			u.changed.Wait()
		}
		done, lost, err := u.durable.Contains(r), !u.missing(r).Empty(), u.failed
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

// commit makes everything written durable: it syncs the bytes, appends to the journal, then
// calls the watchers. One sync serves all concurrent requests to the upload.
func (u *upload) commit() error {
	u.commitMu.Lock()
	defer u.commitMu.Unlock()
	u.mu.Lock()
	todo, err := u.written.Clone(), u.failed
	known := u.unsaved
	u.unsaved = sums{}
	u.mu.Unlock()
	if err != nil || todo.Empty() {
		return err
	}
	if err := u.store.sync(u.data); err != nil {
		// The kernel may have dropped the pages it could not write. Only what is in the
		// journal can be relied on.
		err = mapError("sync", u.id, err)
		u.fail(err)
		return err
	}
	if err := u.append(summedLines(todo, known)); err != nil {
		u.restoreUnsaved(known)
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

// restoreUnsaved restores the checksums that a commit took but could not save.
func (u *upload) restoreUnsaved(known sums) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.unsaved.addAll(known)
}

// append adds lines to the journal. The caller holds commitMu. After a failed write the next
// append starts at the same offset, over what may be a partial line.
func (u *upload) append(lines []byte) error {
	if _, err := u.log.WriteAt(lines, u.logEnd); err != nil {
		return mapError("journal", u.id, err)
	}
	if err := u.store.sync(u.log); err != nil {
		err = mapError("sync the journal of", u.id, err)
		u.mustRewrite = true
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

// unwatch returns after the last call of the watcher.
func (u *upload) unwatch(w *watcher) {
	u.commitMu.Lock()
	defer u.commitMu.Unlock()
	u.watchers = slices.DeleteFunc(u.watchers, func(o *watcher) bool { return o == w })
}
