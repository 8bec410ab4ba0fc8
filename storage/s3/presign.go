package s3

import (
	"context"

	"github.com/holdfast-upload/holdfast/storage"
)

// Link implements storage.Linker. S3 serves the file with the content type and disposition
// that were stored with it. Without a PresignTTL the link is empty.
func (s *Store) Link(ctx context.Context, up storage.Upload) (string, error) {
	if s.opts.PresignTTL <= 0 {
		return "", nil
	}
	link, err := s.client.Presign(ctx, s.fileKey(up.Record), s.opts.PresignTTL, s.opts.PublicEndpoint)
	return link, storage.Unavailable("presign the URL of", up.ID, err)
}
