package storagetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Memory is a Store in memory. It keeps every promise of storage.Store, also
// while it does what Inject asks for: failing.
//
// A Memory is one process's view of the data. Node is another one beside it,
// Restart the one after it.
type Memory struct {
	*memory
	dead bool // guarded by memory.mu, like everything
}

var (
	_ storage.Store   = (*Memory)(nil)
	_ storage.Cleaner = (*Memory)(nil)
	_ storage.Checker = (*Memory)(nil)

	_ storage.IDLister = (*Memory)(nil)
	_ storage.Summer   = (*Memory)(nil)
)

// memory is the data that all views share.
type memory struct {
	piece int // bytes stored in one operation

	mu      sync.Mutex
	fault   func(Op) Outcome
	uploads map[string]*memoryUpload
}

type memoryUpload struct {
	storage.Upload
	pieces   []memoryPiece // they do not overlap
	reported ranges.Set    // what some Write has reported
	file     []byte
	gone     time.Time // when it was deleted, zero if it was not
	moved    bool      // its file was taken away
}

type memoryPiece struct {
	offset int64
	data   []byte
}

// NewMemory is an empty Memory that stores what is written piece by piece, each
// of so many bytes and each an operation of its own that can fail.
func NewMemory(piece int) *Memory {
	return &Memory{memory: &memory{piece: piece, uploads: map[string]*memoryUpload{}}}
}

// Node is the view of another process beside this one.
func (m *Memory) Node() *Memory { return &Memory{memory: m.memory} }

// Restart kills this view, so that nothing can be done through it any more, and
// returns the view of the process that comes after it.
func (m *Memory) Restart() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	return m.Node()
}

// Create implements storage.Store.
func (m *Memory) Create(_ context.Context, rec storage.Record) error {
	return m.do(Create, rec.ID, func() error {
		if up, ok := m.uploads[rec.ID]; ok {
			if !up.gone.IsZero() {
				return storage.ErrGone
			}
			return storage.ErrExists
		}
		for _, other := range m.uploads {
			if other.gone.IsZero() && !other.moved && fileName(other.Record) == fileName(rec) {
				return storage.ErrKeyTaken
			}
		}
		up := storage.Upload{Record: rec, ModifiedAt: rec.Created}
		m.uploads[rec.ID] = &memoryUpload{Upload: up.Clone()}
		return nil
	})
}

func fileName(rec storage.Record) string { return cmp.Or(rec.Key, rec.ID) }

// Load implements storage.Store.
func (m *Memory) Load(_ context.Context, id string) (loaded storage.Upload, err error) {
	err = m.do(Load, id, func() error {
		up, err := m.find(id)
		switch {
		case err == nil && up.moved && up.Delivered.IsZero():
			return storage.ErrGone
		case err == nil || up != nil && up.Deleted:
			loaded = up.Clone()
			loaded.FileMissing = up.moved
		}
		return err
	})
	return loaded, err
}

// Declare implements storage.Store.
func (m *Memory) SetSize(_ context.Context, id string, size int64) error {
	return m.do(Declare, id, func() error {
		up, err := m.find(id)
		if err != nil {
			return err
		}
		if up.Size != storage.Unknown && up.Size != size {
			return storage.ErrSizeMismatch
		}
		up.Size = size
		return nil
	})
}

// Write implements storage.Store. What has been reported before is not reported
// again.
func (m *Memory) Write(_ context.Context, up storage.Upload, c storage.Chunk, stored func(storage.Extent) storage.Upload) error {
	offset := c.Offset
	buf := make([]byte, m.piece)
	for {
		n, err := io.ReadFull(c.Body, buf)
		piece := ranges.Of(offset, int64(n))
		if failed := m.do(Write, up.ID, func() error {
			up, err := m.find(up.ID)
			if err == nil {
				up.put(offset, buf[:n])
			}
			return err
		}); failed != nil {
			return failed
		}
		m.report(up.ID, piece, func(r ranges.Range) { stored(storage.Extent{Range: r}) })
		offset = piece.End
		if err != nil {
			return nil
		}
	}
}

// report reports what of r has not been. It counts as reported once the call has
// returned, so that of two writes both report what neither of them had yet.
func (m *Memory) report(id string, r ranges.Range, durable func(ranges.Range)) {
	m.mu.Lock()
	var unreported ranges.Set
	if up, err := m.find(id); err == nil {
		unreported = up.reported.Missing(r)
	}
	m.mu.Unlock()
	for _, r := range unreported.Ranges() {
		durable(r)
	}
	m.mu.Lock()
	if up, err := m.find(id); err == nil {
		up.reported.AddSet(unreported)
	}
	m.mu.Unlock()
}

// put stores those bytes that are not there yet.
func (up *memoryUpload) put(offset int64, data []byte) {
	missing := up.Received.Missing(ranges.Of(offset, int64(len(data))))
	for _, r := range missing.Ranges() {
		up.pieces = append(up.pieces, memoryPiece{r.Start, bytes.Clone(data[r.Start-offset : r.End-offset])})
		up.Received.Add(r)
		up.ModifiedAt = time.Now().UTC()
	}
}

// Finish implements storage.Store.
func (m *Memory) Finish(_ context.Context, up storage.Upload) (done storage.Upload, err error) {
	err = m.do(Finish, up.ID, func() error {
		up, err := m.find(up.ID)
		if err != nil {
			return err
		}
		if !up.Finished && !up.Complete() {
			return fmt.Errorf("finish %s: %w", up.ID, storage.ErrIncomplete)
		}
		if !up.Finished {
			up.finishWith(up.content())
		}
		done = up.Clone()
		return nil
	})
	return done, err
}

// content is what a complete upload consists of.
func (up *memoryUpload) content() []byte {
	data := make([]byte, up.Size)
	for _, p := range up.pieces {
		if p.offset < up.Size {
			copy(data[p.offset:], p.data)
		}
	}
	return data
}

// finishWith makes data the file of the upload.
func (up *memoryUpload) finishWith(data []byte) {
	sum := crc32c.Of(data)
	up.file, up.Finished, up.DeliveryPending, up.CRC32C = data, true, true, &sum
}

// Retire implements storage.Store.
func (m *Memory) MarkDelivered(_ context.Context, up storage.Upload) error {
	return m.do(Retire, up.ID, func() error {
		up, err := m.find(up.ID)
		switch {
		case err == nil && !up.Partial:
			if up.DeliveryPending {
				up.Delivered = time.Now().UTC()
			}
			up.DeliveryPending, up.DeadLettered = false, false
		case up != nil && up.Deleted:
			*up = memoryUpload{gone: up.gone}
		}
		return nil
	})
}

// DeadLetter implements storage.Store.
func (m *Memory) DeadLetter(_ context.Context, up storage.Upload) error {
	return m.do(DeadLetter, up.ID, func() error {
		if up, _ := m.find(up.ID); up != nil && up.DeliveryPending {
			up.DeadLettered = true
		}
		return nil
	})
}

// Open implements storage.Store.
func (m *Memory) Open(_ context.Context, up storage.Upload, offset int64) (file io.ReadCloser, err error) {
	err = m.do(Open, up.ID, func() error {
		up, err := m.find(up.ID)
		if err != nil {
			return err
		}
		if !up.Finished {
			return errors.New("an upload was opened that is not finished")
		}
		if up.moved {
			return storage.ErrGone
		}
		file = io.NopCloser(bytes.NewReader(up.file[offset:]))
		return nil
	})
	return file, err
}

// Delete implements storage.Store.
func (m *Memory) Delete(_ context.Context, id string) error {
	return m.do(Delete, id, func() error {
		up, err := m.find(id)
		switch {
		case err != nil:
		case up.DeliveryPending && !up.DeadLettered && !up.Partial:
			up.gone, up.Deleted, up.file, up.pieces = time.Now(), true, nil, nil
		default:
			*up = memoryUpload{gone: time.Now()}
		}
		return nil
	})
}

// List implements storage.Store.
func (m *Memory) List(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var ids []string
		err := m.do(List, "uploads", func() error {
			for _, id := range slices.Sorted(maps.Keys(m.uploads)) {
				if up, err := m.find(id); err == nil && (!up.Finished || up.DeliveryPending) || up.Deleted {
					ids = append(ids, id)
				}
			}
			return nil
		})
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

// ListIDs implements storage.IDLister.
func (m *Memory) ListIDs(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var ids []string
		err := m.do(List, "ids", func() error {
			ids = slices.Collect(maps.Keys(m.uploads))
			return nil
		})
		if err != nil {
			yield("", err)
			return
		}
		for _, id := range ids {
			if strings.HasPrefix(id, prefix) && !yield(id, nil) {
				return
			}
		}
	}
}

// Sum implements storage.Summer.
func (m *Memory) Sum(_ context.Context, up storage.Upload) *crc32c.Sum {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, err := m.find(up.ID)
	if err != nil || known.Finished || !known.Complete() {
		return nil
	}
	sum := crc32c.Of(known.content())
	return &sum
}

// Clean implements storage.Cleaner.
func (m *Memory) Clean(_ context.Context, before time.Time) error {
	return m.do(Clean, "uploads", func() error {
		maps.DeleteFunc(m.uploads, func(_ string, up *memoryUpload) bool {
			return !up.gone.IsZero() && up.gone.Before(before) && (!up.Deleted || up.DeadLettered)
		})
		return nil
	})
}

// CleanFinished implements storage.Cleaner.
func (m *Memory) CleanFinished(_ context.Context, before time.Time) error {
	return m.do(Clean, "finished uploads", func() error {
		maps.DeleteFunc(m.uploads, func(_ string, up *memoryUpload) bool {
			return up.moved && !up.Delivered.IsZero() && up.Delivered.Before(before)
		})
		return nil
	})
}

// MoveFile takes the file of a finished upload away behind the store's back.
func (m *Memory) MoveFile(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uploads[id].moved, m.uploads[id].file = true, nil
}

// Check implements storage.Checker.
func (m *Memory) Check(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	return nil
}

// find returns an upload that is there, or ErrGone, with what is known of it.
func (m *Memory) find(id string) (*memoryUpload, error) {
	up, ok := m.uploads[id]
	switch {
	case !ok:
		return nil, storage.ErrNotFound
	case !up.gone.IsZero():
		return up, storage.ErrGone
	}
	return up, nil
}

var (
	errDead     = errors.New("this process was killed")
	errInjected = errors.New("injected fault")
)
