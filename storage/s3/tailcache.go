package s3

import (
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// tailCache keeps, while memory is available, the last bytes of chunks that ended in the
// middle of a slot. The next chunk usually continues there, and then the part can be uploaded
// without reading fragments back.
type tailCache struct {
	mu       sync.Mutex
	byUpload map[string]*tail
}

type tail struct {
	*buffer
	ranges.Range           // the range that the buffer holds
	created, at  time.Time // when the upload was created, and the tail stored
}

func newTailCache() *tailCache { return &tailCache{byUpload: map[string]*tail{}} }

// take removes and returns the tail of an upload that ends at offset and lies in slot, or
// nil if there is none. The caller owns its buffer.
func (t *tailCache) take(up storage.Upload, offset int64, slot ranges.Range) *tail {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept, ok := t.byUpload[up.ID]
	if !ok || !kept.created.Equal(up.Created) || kept.End != offset || kept.Start < slot.Start || kept.End >= slot.End {
		return nil
	}
	delete(t.byUpload, up.ID)
	return kept
}

// keep stores a buffer, and takes ownership of it. Its bytes must be exactly those that are
// stored for r. A buffer that has spilled to a file is released.
func (t *tailCache) keep(up storage.Upload, b *buffer, r ranges.Range) {
	if b.file != nil {
		b.release()
		return
	}
	t.mu.Lock()
	before := t.byUpload[up.ID]
	t.byUpload[up.ID] = &tail{b, r, up.Created, time.Now()}
	t.mu.Unlock()
	if before != nil {
		before.release()
	}
}

// drop releases the tail of an upload.
func (t *tailCache) drop(id string) {
	t.mu.Lock()
	kept, ok := t.byUpload[id]
	delete(t.byUpload, id)
	t.mu.Unlock()
	if ok {
		kept.release()
	}
}

// dropOldest releases the oldest tail, and reports whether there was one.
func (t *tailCache) dropOldest() bool {
	t.mu.Lock()
	oldest := ""
	for id, kept := range t.byUpload {
		if oldest == "" || kept.at.Before(t.byUpload[oldest].at) {
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

// dropBefore releases the buffers that were stored before the given time.
func (t *tailCache) dropBefore(at time.Time) {
	t.mu.Lock()
	var old []*tail
	for id, kept := range t.byUpload {
		if kept.at.Before(at) {
			old = append(old, kept)
			delete(t.byUpload, id)
		}
	}
	t.mu.Unlock()
	for _, kept := range old {
		kept.release()
	}
}
