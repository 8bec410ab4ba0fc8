package storagetest

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// MarkDelivered implements storage.Store.
func (m *Memory) MarkDelivered(_ context.Context, up storage.Upload) error {
	return m.do(MarkDelivered, up.ID, func() error {
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

// Delete implements storage.Store.
func (m *Memory) Delete(_ context.Context, id string) error {
	return m.do(Delete, id, func() error {
		up, err := m.find(id)
		switch {
		case err != nil:
		case up.DeliveryPending && !up.DeadLettered && !up.Partial:
			up.gone, up.Deleted, up.file, up.blocks = time.Now(), true, nil, nil
		default:
			*up = memoryUpload{gone: time.Now()}
		}
		return nil
	})
}

// MoveFile takes the file of a finished upload away behind the store's back.
func (m *Memory) MoveFile(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uploads[id].moved, m.uploads[id].file = true, nil
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
