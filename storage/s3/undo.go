package s3

import (
	"context"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// undo removes what was stored of an upload after its deletion began, including the
// multipart upload of layout l, which the deletion may not have found. It returns ErrGone.
func (s *Store) undo(ctx context.Context, op string, up storage.Upload, l layout.Layout) error {
	if l.UploadID != "" {
		if err := s.client.Abort(ctx, s.fileKey(up.Record), l.UploadID); err != nil {
			return err
		}
	}
	if err := s.DeleteCreated(ctx, up); err != nil {
		return err
	}
	return fmt.Errorf("%s %s: %w: deleted concurrently", op, up.ID, storage.ErrGone)
}

// CompleteDeletion implements storage.DeletionCompleter.
func (s *Store) CompleteDeletion(ctx context.Context, id string) (deleted bool, err error) {
	t, err := s.list(ctx, id)
	if err != nil || !t.gone {
		return false, err
	}
	return true, s.Delete(ctx, id)
}
