package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Write implements storage.Store. What has been reported before is not reported
// again.
func (m *Memory) Write(_ context.Context, up storage.Upload, c storage.Chunk, stored func(storage.Extent) storage.Upload) error {
	offset := c.Offset
	buf := make([]byte, m.blockSize)
	for {
		n, err := io.ReadFull(c.Body, buf)
		r := ranges.Of(offset, int64(n))
		if failed := m.do(Write, up.ID, func() error {
			up, err := m.find(up.ID)
			if err == nil {
				up.put(offset, buf[:n])
			}
			return err
		}); failed != nil {
			return failed
		}
		m.report(up.ID, r, func(r ranges.Range) { stored(storage.Extent{Range: r}) })
		offset = r.End
		if err != nil {
			return nil
		}
	}
}

// report reports what of r has not been. It counts as reported once the call has
// returned, so that of two writes both report what neither of them had yet.
func (m *Memory) report(id string, r ranges.Range, stored func(ranges.Range)) {
	m.mu.Lock()
	var unreported ranges.Set
	if up, err := m.find(id); err == nil {
		unreported = up.reported.Missing(r)
	}
	m.mu.Unlock()
	for _, r := range unreported.Ranges() {
		stored(r)
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
		up.blocks = append(up.blocks, block{r.Start, bytes.Clone(data[r.Start-offset : r.End-offset])})
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
	for _, p := range up.blocks {
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
