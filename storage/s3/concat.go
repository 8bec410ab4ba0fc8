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
	if err != nil {
		// The answer may have been lost, and the file be there all the same.
		if s.checkFile(ctx, up) == nil {
			return true, nil
		}
		return false, storage.Unavailable("concatenate", up.ID, errors.Join(err, s.client.abort(ctx, o.key, uploadID)))
	}
	return true, nil
}

func (s *Store) copyAll(ctx context.Context, key, uploadID string, files []storage.Upload) ([]part, error) {
	var parts []part
	for _, f := range files {
		for offset := int64(0); offset < f.Size; {
			n := min(f.Size-offset, maxCopy)
			if rest := f.Size - offset - n; rest > 0 && rest < minPart {
				n -= minPart
			}
			p, err := s.client.copyPart(ctx, key, uploadID, int32(len(parts)+1), s.fileKey(f.ID), offset, n)
			if err != nil {
				return nil, err
			}
			parts = append(parts, p)
			offset += n
		}
	}
	return parts, nil
}
