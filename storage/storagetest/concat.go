package storagetest

import (
	"context"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Joiner is a Memory that can join files, each time as one operation Finish.
type Joiner struct{ *Memory }

var _ storage.Concater = Joiner{}

// Concat implements storage.Concater.
func (j Joiner) Concat(_ context.Context, up storage.Upload, files []storage.Upload) (bool, error) {
	err := j.do(Finish, up.ID, func() error {
		whole, err := j.find(up.ID)
		if err != nil || whole.Finished {
			return err
		}
		var data []byte
		for _, file := range files {
			part, err := j.find(file.ID)
			if err != nil {
				return err
			}
			data = append(data, part.file...)
		}
		if int64(len(data)) != whole.Size {
			return fmt.Errorf("join %s: %d of %d bytes: %w", up.ID, len(data), whole.Size, storage.ErrIncomplete)
		}
		whole.finishWith(data)
		whole.Received.Add(ranges.Of(0, whole.Size))
		return nil
	})
	return err == nil, err
}

// filesAreJoined is for a store that is a Concater.
func filesAreJoined(f *fixture) {
	if _, ok := f.store.(storage.Concater); !ok {
		return
	}
	part := map[int64]storage.Upload{}
	for _, size := range []int64{0, 1, f.size / 3, f.size} {
		up := f.createAs(storage.Record{ID: storage.NewID(), Size: size, Partial: true})
		f.putAll(up, Content(uint64(size), size))
		part[size] = f.finish(up.ID, Content(uint64(size), size))
	}
	for _, sizes := range [][]int64{
		{f.size}, {f.size, f.size}, {f.size, f.size / 3}, {f.size / 3, f.size}, {1, f.size, 0, 1}, {0, 0}, {f.size, 1},
	} {
		f.join(part, sizes, 0)
		f.join(part, sizes, sizes[0]/2) // after a copy that broke off
	}
	for size, up := range part {
		f.wantFile(up.ID, Content(uint64(size), size))
	}
}

// join makes one upload of parts, when the first bytes of it are there already.
func (f *fixture) join(part map[int64]storage.Upload, sizes []int64, first int64) {
	f.Helper()
	rec := storage.Record{ID: storage.NewID()}
	var data []byte
	var files []storage.Upload
	for _, size := range sizes {
		rec.Parts = append(rec.Parts, part[size].ID)
		files = append(files, part[size])
		data = append(data, Content(uint64(size), size)...)
	}
	rec.Size = int64(len(data))
	up := f.createAs(rec)
	f.put(up, data, ranges.Of(0, first))
	for range 2 {
		done, err := f.store.(storage.Concater).Concat(f.ctx, f.load(up.ID), files)
		if err != nil {
			f.Errorf("join %v: %v", sizes, err)
		}
		f.step()
		if !done {
			f.put(up, data, ranges.Of(0, rec.Size))
			f.finish(up.ID, data)
			return
		}
		now := f.wantFile(up.ID, data)
		if !now.DeliveryPending {
			f.Errorf("join %v: its delivery is not pending", sizes)
		}
		f.wantChecksum(now, data)
	}
}
