package s3

import (
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// tails keeps the bytes with which chunks ended in the middle of a cell, as long
// as there is memory to spare: the next chunk mostly goes on from there, and then
// the cell can be put whole without reading its fragments back.
type tailCache struct {
	mu sync.Mutex
	of map[string]*tail
}

type tail struct {
	*buffer
	ranges.Range           // what the buffer holds
	created, at  time.Time // the upload, the tail
}

func newTailCache() *tailCache { return &tailCache{of: map[string]*tail{}} }

// take gives the caller the tail of an upload that ends at offset and lies in
// cell, if there is one.
func (t *tailCache) take(up storage.Upload, offset int64, slot ranges.Range) *tail {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept, ok := t.of[up.ID]
	if !ok || !kept.created.Equal(up.Created) || kept.End != offset || kept.Start < slot.Start || kept.End >= slot.End {
		return nil
	}
	delete(t.of, up.ID)
	return kept
}

// keep takes a buffer over from the caller. What it holds must be what is stored
// for r, byte for byte. One in a file is not worth keeping.
func (t *tailCache) keep(up storage.Upload, b *buffer, r ranges.Range) {
	if b.file != nil {
		b.release()
		return
	}
	t.mu.Lock()
	before := t.of[up.ID]
	t.of[up.ID] = &tail{b, r, up.Created, time.Now()}
	t.mu.Unlock()
	if before != nil {
		before.release()
	}
}

// drop lets go of what is kept of an upload.
func (t *tailCache) drop(id string) {
	t.mu.Lock()
	kept, ok := t.of[id]
	delete(t.of, id)
	t.mu.Unlock()
	if ok {
		kept.release()
	}
}

// dropOldest makes room, and tells whether there was anything to drop.
func (t *tailCache) dropOldest() bool {
	t.mu.Lock()
	oldest := ""
	for id, kept := range t.of {
		if oldest == "" || kept.at.Before(t.of[oldest].at) {
			oldest = id
		}
	}
	t.mu.Unlock()
	if oldest == "" {
		return false
	}
	t.drop(oldest)
	return true
}

// dropBefore lets go of what nobody has gone on from for long.
func (t *tailCache) dropBefore(at time.Time) {
	t.mu.Lock()
	var old []*tail
	for id, kept := range t.of {
		if kept.at.Before(at) {
			old = append(old, kept)
			delete(t.of, id)
		}
	}
	t.mu.Unlock()
	for _, kept := range old {
		kept.release()
	}
}
