package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// account is what the store has acknowledged of an upload.
type account struct {
	rec          storage.Record // with the size that was set
	received     ranges.Set
	finished     bool
	delivered    bool
	deadLettered bool
	gone         bool

	creating, deleting, delivering, cleaning bool // started, and may be done
	unsure                                   bool // a Create has failed, so it may exist or not
	lost                                     bool // its file was removed

	checked int // number of checks at its last change
}

func (a *account) clone() *account {
	out := *a
	out.received = a.received.Clone()
	return &out
}

// sameAs reports whether both may be of the same Create.
func (a *account) sameAs(before account) bool {
	return before.unsure || a.rec.Created.Equal(before.rec.Created)
}

func (a *account) verify(before *memFS, after *Store, id string) error {
	if a.lost || a.creating || a.unsure || a.rec.ID == "" && !a.gone {
		return nil
	}
	up, err := after.Load(context.Background(), id)
	switch {
	case a.gone && (errors.Is(err, storage.ErrGone) || a.cleaning && errors.Is(err, storage.ErrNotFound)):
		return nil
	case a.gone:
		return fmt.Errorf("it was deleted, but load returns %v", err)
	case a.deleting && errors.Is(err, storage.ErrGone):
		return nil
	case err != nil:
		return fmt.Errorf("it existed, but load returns %w", err)
	case a.rec.Size != storage.Unknown && up.Size != a.rec.Size:
		return fmt.Errorf("size %d was acknowledged, not %d", a.rec.Size, up.Size)
	case a.finished && !up.Finished:
		return errors.New("it was finished, but is not")
	case a.finished && !a.delivered && !a.delivering && !up.DeliveryPending:
		return errors.New("its delivery is not pending any more")
	case a.delivered && up.DeliveryPending:
		return errors.New("it was delivered, but is pending")
	case a.deadLettered && !a.delivering && !up.DeadLettered:
		return errors.New("it was dead-lettered, but is not")
	}
	return a.verifyBytes(before, after, up)
}

func (a *account) verifyBytes(before *memFS, after *Store, up storage.Upload) error {
	want := a.received.Clone()
	if up.Size != storage.Unknown {
		want = want.Within(ranges.Of(0, up.Size)) // bytes beyond are truncated
	}
	for _, r := range want.Ranges() {
		if !up.Has(r) {
			return fmt.Errorf("%v was acknowledged, %v is stored", r, up.Received)
		}
	}
	was, is := before.contentOf(after, up), after.memory().contentOf(after, up)
	for _, r := range want.Ranges() {
		if !is.same(was, r) {
			return fmt.Errorf("the bytes of %v are not those that were acknowledged", r)
		}
	}
	return nil
}

func (s *Store) memory() *memFS {
	switch below := s.fs.(type) {
	case linkless:
		return below.fileSystem.(*memFS)
	case mounts:
		return below.fileSystem.(*memFS)
	}
	return s.fs.(*memFS)
}

// contentOf returns the bytes of an upload, from its data file or final file.
func (m *memFS) contentOf(s *Store, up storage.Upload) content {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, path := range []string{s.dataPath(up.ID), s.filePath(up.Record)} {
		if _, _, n, err := m.find(path); err == nil && n != nil {
			return n.now
		}
	}
	return content{}
}

// same reports whether two files have the same bytes in r, and all of them.
func (c content) same(o content, r ranges.Range) bool {
	if r.End > c.size || r.End > o.size {
		return r.Empty()
	}
	for at := r.Start; at < r.End; {
		end := min(r.End, (at/blockLen+1)*blockLen)
		if c.blocks[at/blockLen] != o.blocks[at/blockLen] {
			a, b := make([]byte, end-at), make([]byte, end-at)
			c.readAt(a, at)
			o.readAt(b, at)
			if !bytes.Equal(a, b) {
				return false
			}
		}
		at = end
	}
	return true
}
