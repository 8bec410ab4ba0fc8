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
	if err := fits(rec.Size, maxSize); err != nil {
		return err
	}
	if rec.Chosen || rec.Key != "" {
		if err := s.vacant(ctx, rec); err != nil {
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
func (s *Store) vacant(ctx context.Context, rec storage.Record) error {
	t, err := s.traces(ctx, rec.ID)
	switch {
	case err != nil:
		return err
	case t.gone:
		return storage.ErrGone
	case t.record:
		return storage.ErrExists
	}
	// Nothing may be under the key of the file: neither one of an upload that is
	// finished, nor what is no upload's. And one of this id may have had another key.
	for _, key := range []string{s.fileKey(rec), s.doneKey(rec.ID)} {
		if _, err := s.client.head(ctx, key); !errors.Is(err, errMissing) {
			return errors.Join(err, ifNil(err, storage.ErrExists))
		}
	}
	return nil
}

func ifNil(err, then error) error {
	if err == nil {
		return then
	}
	return nil
}

// Declare implements storage.Store.
func (s *Store) Declare(ctx context.Context, id string, size int64) error {
	if err := fits(size, grown(s.opts.cell)); err != nil {
		return err
	}
	there, err := s.client.putOnce(ctx, s.liveKey(id, "size"), strconv.AppendInt(nil, size, 10))
	if err != nil {
		return storage.Unavailable("declare the size of", id, err)
	}
	if string(there) != strconv.FormatInt(size, 10) {
		return fmt.Errorf("declare %s: %w: %d bytes now, %.20s before", id, storage.ErrSizeConflict, size, there)
	}
	return nil
}
