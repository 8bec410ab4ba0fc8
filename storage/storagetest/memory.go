package storagetest

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
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
	blockSize int // bytes stored in one operation

	mu      sync.Mutex
	fault   func(Op) Outcome
	uploads map[string]*memoryUpload
}

type memoryUpload struct {
	storage.Upload
	blocks   []block    // they do not overlap
	reported ranges.Set // what some Write has reported
	file     []byte
	gone     time.Time // when it was deleted, zero if it was not
	moved    bool      // its file was taken away
}

// block is bytes that one operation has stored.
type block struct {
	offset int64
	data   []byte
}

// NewMemory returns an empty Memory that stores what is written in blocks of blockSize bytes,
// each in an operation of its own that can fail.
func NewMemory(blockSize int) *Memory {
	return &Memory{memory: &memory{blockSize: blockSize, uploads: map[string]*memoryUpload{}}}
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

// SetSize implements storage.Store.
func (m *Memory) SetSize(_ context.Context, id string, size int64) error {
	return m.do(SetSize, id, func() error {
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
