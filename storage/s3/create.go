package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/holdfast-upload/holdfast/storage"
)

// Create implements storage.Store.
func (s *Store) Create(ctx context.Context, rec storage.Record) error {
	if rec.Chosen {
		if err := s.vacant(ctx, rec.ID); err != nil {
			return err
		}
	}
	text, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	there, err := s.client.putOnce(ctx, s.liveKey(rec.ID, "record"), text)
	if err != nil {
		return storage.Unavailable("create", rec.ID, err)
	}
	if !bytes.Equal(there, text) {
		return storage.ErrExists
	}
	return nil
}

// vacant returns nil if no upload has, or lately had, the id. An id that was made
// here needs no such look.
func (s *Store) vacant(ctx context.Context, id string) error {
	t, err := s.traces(ctx, id)
	switch {
	case err != nil:
		return err
	case t.gone:
		return storage.ErrGone
	case t.record:
		return storage.ErrExists
	}
	// Nothing may be under the key of the file: neither one of an upload that is
	// finished, nor what is no upload's.
	_, err = s.client.head(ctx, s.fileKey(id))
	switch {
	case err == nil:
		return storage.ErrExists
	case errors.Is(err, errMissing):
		return nil
	}
	return err
}

// Declare implements storage.Store.
func (s *Store) Declare(ctx context.Context, id string, size int64) error {
	there, err := s.client.putOnce(ctx, s.liveKey(id, "size"), strconv.AppendInt(nil, size, 10))
	if err != nil {
		return storage.Unavailable("declare the size of", id, err)
	}
	if string(there) != strconv.FormatInt(size, 10) {
		return fmt.Errorf("declare %s: %w: %d bytes now, %.20s before", id, storage.ErrSizeConflict, size, there)
	}
	return nil
}
