package s3

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

const (
	// goodCopy is how many bytes one request copies where nothing asks for more: S3 may be
	// silent until it has copied all of them, and is not waited for longer than patience.
	goodCopy = 512 * mib
	// copiesAtOnce is how many requests copy for one upload at the same time.
	copiesAtOnce = 4
)

// Concat implements storage.Concater: S3 copies the files together, and no byte
// comes through here. That can't be done where a file but the last is smaller
// than a part may be, and is not where S3 answers, but fails to copy.
func (s *Store) Concat(ctx context.Context, up storage.Upload, files []storage.Upload) (bool, error) {
	runs, ok := cutUp(files, s.opts.copy)
	if !ok {
		return false, nil
	}
	now := s.active.join(up)
	defer s.active.leave(now)
	done, err := s.concat(ctx, up, files, runs)
	if now.isGone() {
		l, _ := s.layoutOf(up)
		return false, s.undo(ctx, "concatenate", up, l)
	}
	return done, err
}

func (s *Store) concat(ctx context.Context, up storage.Upload, files []storage.Upload, runs []run) (bool, error) {
	o, err := s.file(up.Record)
	if err != nil {
		return false, err
	}
	o.unsummed = len(runs) > len(files) // some (versitygw 1.8) give a run the checksum of all its file
	if sum := storage.JoinCRC32C(files); sum != nil {
		o.metadata[sumName] = sum.String() // not all S3s, nor all copies, have one of the whole
	}
	uploadID, err := s.client.begin(ctx, o)
	if err != nil {
		return false, storage.Unavailable("begin", up.ID, err)
	}
	parts, notCopied := s.copyAll(ctx, o.key, uploadID, runs)
	if notCopied == nil {
		err = s.client.complete(ctx, o.key, uploadID, parts)
	}
	// Whatever the answer was, the file may be there or not: another node may have
	// made it, and an answer may have been lost.
	done, look := s.withFile(ctx, up)
	if look == nil && done.Finished {
		s.dropParts(ctx, up, uploadID)
		return true, nil
	}
	err = errors.Join(err, look, s.client.abort(ctx, o.key, uploadID))
	switch {
	case notCopied != nil && err == nil:
		return false, nil // all else works: it may never copy
	case errors.Is(err, errTaken) && look == nil:
		return false, fmt.Errorf("concatenate %s: %w", up.ID, storage.ErrKeyTaken)
	}
	return false, storage.Unavailable("concatenate", up.ID, errors.Join(notCopied, err))
}

// dropParts removes what is not needed once the file is there: parts that were
// stored before it was joined, and those of a join that came second. What can't be
// removed now, Clean removes.
func (s *Store) dropParts(ctx context.Context, up storage.Upload, joined string) {
	_ = s.client.abort(ctx, s.fileKey(up.Record), joined)
	if l, ok := s.layoutOf(up); ok && l.UploadID != "" {
		_ = s.client.abort(ctx, s.fileKey(up.Record), l.UploadID)
	}
}

// run is what one request copies: some bytes of a file.
type run struct {
	ranges.Range
	of storage.Record
}

// cutUp cuts files into runs of at most size bytes, or of more if there would be more
// of them than parts. It returns false if S3 can't make one file of them.
func cutUp(files []storage.Upload, size int64) ([]run, bool) {
	for i, f := range files {
		if f.Size < minPart && i < len(files)-1 || f.Size == 0 {
			return nil, false
		}
	}
	runs := cutInto(files, size)
	for len(runs) > maxParts && size < maxPart {
		size = min(2*size, maxPart)
		runs = cutInto(files, size)
	}
	return runs, 0 < len(runs) && len(runs) <= maxParts
}

// cutInto cuts each file into as few runs of at most size bytes as it can be, all about
// as long: so none is shorter than a part may be, if size is that of two.
func cutInto(files []storage.Upload, size int64) []run {
	var runs []run
	for _, f := range files {
		n := (f.Size + size - 1) / size
		for i := range n {
			runs = append(runs, run{ranges.Range{Start: share(f.Size, n, i), End: share(f.Size, n, i+1)}, f.Record})
		}
	}
	return runs
}

// share is where the i-th of n shares of size begins, none of which is more than one
// longer than any other.
func share(size, n, i int64) int64 { return size/n*i + min(i, size%n) }

// copyAll makes each run a part. When one fails, no more are begun; those that S3 is at
// are waited for, or they would bring back what is aborted then.
func (s *Store) copyAll(ctx context.Context, key, uploadID string, runs []run) ([]part, error) {
	parts := make([]part, len(runs))
	copies, going := errgroup.WithContext(ctx)
	copies.SetLimit(copiesAtOnce)
	for i, r := range runs {
		copies.Go(func() (err error) {
			if going.Err() != nil {
				return going.Err()
			}
			parts[i], err = s.client.copyPart(ctx, key, uploadID, int32(i+1), s.fileKey(r.of), r.Start, r.Len())
			return err
		})
	}
	return parts, copies.Wait()
}
