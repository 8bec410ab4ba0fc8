package s3

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage"
)

// markGone writes down that an upload is gone. Where that seems to have failed it looks
// whether only the answer was lost: then the deletion goes on.
func (s *Store) markGone(ctx context.Context, rec storage.Record) error {
	text, err := json.Marshal(storage.Record{ID: rec.ID, Key: rec.Key, Chosen: rec.Chosen, Created: rec.Created})
	if err != nil {
		return err
	}
	err = s.client.put(ctx, small(s.liveKey(rec.ID, "gone"), text))
	if err != nil {
		if _, headErr := s.client.head(ctx, s.liveKey(rec.ID, "gone")); headErr == nil {
			return nil
		}
	}
	return err
}

// undo removes what was stored of an upload after its deletion had begun, also the
// multipart upload of a layout that the deletion may not have found. It returns ErrGone.
func (s *Store) undo(ctx context.Context, op string, up storage.Upload, l layout) error {
	if l.UploadID != "" {
		if err := s.client.abort(ctx, s.fileKey(up.Record), l.UploadID); err != nil {
			return err
		}
	}
	if err := s.DeleteCreated(ctx, up); err != nil {
		return err
	}
	return fmt.Errorf("%s %s: %w: it was deleted meanwhile", op, up.ID, storage.ErrGone)
}

// CompleteDeletion implements storage.DeletionCompleter.
func (s *Store) CompleteDeletion(ctx context.Context, id string) (deleted bool, err error) {
	t, err := s.traces(ctx, id)
	if err != nil || !t.gone {
		return false, err
	}
	return true, s.Delete(ctx, id)
}
