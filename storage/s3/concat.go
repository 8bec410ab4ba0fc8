package s3

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

const (
	// goodCopy is the default number of bytes that one request copies. S3 may not respond
	// until it has copied all of them, and has responseTimeout for it.
	goodCopy = 512 * layout.MiB
	// concurrentCopies is the number of concurrent copy requests for one upload.
	concurrentCopies = 4
)

// Concat implements storage.Concater: S3 copies the files, and no data passes through
// this process. It returns false, without an error, if a file other than the last is
// smaller than the minimum size of a part, or if S3 responds, but fails to copy, or refuses
// to combine the copies.
func (s *Store) Concat(ctx context.Context, up storage.Upload, files []storage.Upload) (bool, error) {
	copies, ok := planCopies(files, s.opts.copy)
	if !ok || !s.client.Can.Copy || s.copies.refused() {
		return false, nil
	}
	now := s.active.join(up)
	defer s.active.leave(now)
	done, err := s.concat(ctx, up, files, copies)
	if now.isGone() {
		l, _ := s.layoutOf(up)
		return false, s.undo(ctx, "concatenate", up, l)
	}
	return done, err
}

func (s *Store) concat(ctx context.Context, up storage.Upload, files []storage.Upload, copies []copyRange) (bool, error) {
	o, err := s.file(up.Record)
	if err != nil {
		return false, err
	}
	client := s.copyClient(len(copies) > len(files))
	if sum := storage.JoinCRC32C(files); sum != nil {
		o.Metadata[api.SumName] = sum.String() // not every S3 server has a full-object checksum of copied parts
	}
	uploadID, err := client.Begin(ctx, o)
	if err != nil {
		return false, storage.Unavailable("begin", up.ID, err)
	}
	parts, copyErr := s.copyAll(ctx, o.Key, uploadID, copies)
	if copyErr == nil {
		err = client.Complete(ctx, o.Key, uploadID, parts)
	}
	if api.Refused(err) && !errors.Is(err, api.ErrTaken) {
		copyErr, err = err, nil
	}
	// Whatever the response was, check for the file: another node may have created it, or
	// the response may have been lost.
	done, headErr := s.withFile(ctx, up)
	if headErr == nil && done.Finished {
		s.dropParts(ctx, up, uploadID)
		return true, nil
	}
	err = errors.Join(err, headErr, s.client.Abort(ctx, o.Key, uploadID))
	switch {
	case copyErr != nil && err == nil:
		s.copies.failed(s.opts.Log, copyErr)
		return false, nil // only copying fails: this server may not support it
	case errors.Is(err, api.ErrTaken) && headErr == nil:
		return false, fmt.Errorf("concatenate %s: %w", up.ID, storage.ErrKeyTaken)
	}
	return false, storage.Unavailable("concatenate", up.ID, errors.Join(copyErr, err))
}

// dropParts aborts the multipart uploads that are not needed once the file exists: that of
// a concatenation which another one overtook, and that of parts stored before. Clean
// removes what fails to be aborted here.
func (s *Store) dropParts(ctx context.Context, up storage.Upload, uploadID string) {
	_ = s.client.Abort(ctx, s.fileKey(up.Record), uploadID)
	if l, ok := s.layoutOf(up); ok && l.UploadID != "" {
		_ = s.client.Abort(ctx, s.fileKey(up.Record), l.UploadID)
	}
}

// copyRange is the range of a file that one request copies.
type copyRange struct {
	ranges.Range
	of storage.Record
}

// planCopies splits files into ranges of at most size bytes, or of more if there would be
// more than maxParts. It returns false if S3 cannot combine them into one file.
func planCopies(files []storage.Upload, size int64) ([]copyRange, bool) {
	for i, f := range files {
		if f.Size < layout.MinPart && i < len(files)-1 || f.Size == 0 {
			return nil, false
		}
	}
	if copies := splitEqually(files, size); len(copies) > 0 {
		return copies, true
	}
	copies := splitFiles(files, size)
	for len(copies) > layout.MaxParts && size < layout.MaxPart {
		size = min(2*size, layout.MaxPart)
		copies = splitFiles(files, size)
	}
	return copies, 0 < len(copies) && len(copies) <= layout.MaxParts
}

// splitFiles splits each file into the fewest ranges of at most size bytes, of nearly equal
// length: if size is at least 2*minPart, none is shorter than minPart.
func splitFiles(files []storage.Upload, size int64) []copyRange {
	var copies []copyRange
	for _, f := range files {
		n := (f.Size + size - 1) / size
		for i := range n {
			copies = append(copies, copyRange{ranges.Range{Start: splitPoint(f.Size, n, i), End: splitPoint(f.Size, n, i+1)}, f.Record})
		}
	}
	return copies
}

// splitPoint returns the start of the i-th of n ranges that cover size bytes, whose lengths
// differ by at most one.
func splitPoint(size, n, i int64) int64 { return size/n*i + min(i, size%n) }

// copyAll copies each range to a part. After a failure no more copies are started, but
// running ones are waited for: they could recreate the multipart upload once it is aborted.
func (s *Store) copyAll(ctx context.Context, key, uploadID string, copies []copyRange) ([]api.Part, error) {
	parts := make([]api.Part, len(copies))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(concurrentCopies)
	for i, r := range copies {
		group.Go(func() (err error) {
			if groupCtx.Err() != nil {
				return groupCtx.Err()
			}
			parts[i], err = s.client.CopyPart(ctx, key, uploadID, int32(i+1), s.fileKey(r.of), r.Start, r.Len())
			return err
		})
	}
	return parts, group.Wait()
}
