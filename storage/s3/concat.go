package s3

import (
	"context"
	"errors"

	"github.com/holdfast-upload/holdfast/storage"
)

// maxCopy is how many bytes one request may copy: 5 GiB (Amazon S3 API reference,
// UploadPartCopy).
const maxCopy = 5 << 30

// Concat implements storage.Concater: S3 copies the files together, and no byte
// comes through here. That can't be done where a file but the last is smaller
// than a part may be.
func (s *Store) Concat(ctx context.Context, up storage.Upload, files []storage.Upload) (bool, error) {
	for i, f := range files {
		if f.Size < minPart && i < len(files)-1 || f.Size == 0 {
			return false, nil
		}
	}
	if len(files) == 0 || len(files) > maxParts {
		return false, nil
	}
	o, err := s.file(up.Record)
	if err != nil {
		return false, err
	}
	uploadID, err := s.client.begin(ctx, o)
	if err != nil {
		return false, storage.Unavailable("begin", up.ID, err)
	}
	parts, err := s.copyAll(ctx, o.key, uploadID, files)
	if err == nil {
		err = s.client.complete(ctx, o.key, uploadID, parts)
	}
	// Whatever the answer was, the file may be there or not: another node may have
	// made it, and an answer may have been lost.
	done, look := s.withFile(ctx, up)
	if look == nil && done.Finished {
		s.dropParts(ctx, up, uploadID)
		return true, nil
	}
	return false, storage.Unavailable("concatenate", up.ID, errors.Join(err, look, s.client.abort(ctx, o.key, uploadID)))
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

func (s *Store) copyAll(ctx context.Context, key, uploadID string, files []storage.Upload) ([]part, error) {
	var parts []part
	for _, f := range files {
		for offset := int64(0); offset < f.Size; {
			n := min(f.Size-offset, maxCopy)
			if rest := f.Size - offset - n; rest > 0 && rest < minPart {
				n -= minPart
			}
			p, err := s.client.copyPart(ctx, key, uploadID, int32(len(parts)+1), s.fileKey(f.Record), offset, n)
			if err != nil {
				return nil, err
			}
			parts = append(parts, p)
			offset += n
		}
	}
	return parts, nil
}
