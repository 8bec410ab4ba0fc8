package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// Create implements storage.Store. It lists the objects of an id only if a client has
// chosen that, and unless Load has just found none.
func (s *Store) Create(ctx context.Context, rec storage.Record) error {
	if err := s.besideOlder("create", rec.ID); err != nil {
		return err
	}
	if err := layout.CheckMaxSize(rec.Size, layout.MaxSize); err != nil {
		return err
	}
	var left []string
	unknown := rec.ClientChosenID && !s.absent.take(rec.ID)
	if unknown {
		t, err := s.checkUnused(ctx, rec)
		if err != nil {
			return err
		}
		left = t.keys
	}
	if unknown || rec.Key != "" {
		if err := s.reserveKey(ctx, rec); err != nil {
			return errors.Join(err, s.releaseKey(ctx, rec))
		}
	}
	text, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	there, err := s.client.PutIfAbsent(ctx, s.liveKey(rec.ID, "record"), text)
	if err != nil {
		return storage.Unavailable("create", rec.ID, errors.Join(err, s.releaseKey(ctx, rec)))
	}
	if !bytes.Equal(there, text) {
		return storage.ErrExists
	}
	// Remove what an earlier upload of the id has left. The names differ from those of this
	// upload, except that of the size.
	_ = s.client.Remove(ctx, left...) // on failure it is ignored, as older than the record
	return nil
}

// checkUnused returns an error if an upload has, or recently had, the id of rec, or if
// another has reserved it as the key of its file. The listing holds leftover objects.
func (s *Store) checkUnused(ctx context.Context, rec storage.Record) (listing, error) {
	t, err := s.list(ctx, rec.ID)
	switch {
	case err != nil:
		return t, err
	case t.gone:
		return t, storage.ErrGone
	case t.record:
		return t, storage.ErrExists
	}
	if rec.Key == "" {
		if err := s.checkReservations(ctx, t, rec.ID); err != nil {
			return t, err
		}
	}
	if _, err := s.client.Head(ctx, s.doneKey(rec.ID)); !errors.Is(err, api.ErrMissing) {
		return t, orElse(err, storage.ErrExists)
	}
	return t, nil
}

// orElse returns err, or then if err is nil.
func orElse(err, then error) error {
	if err == nil {
		return then
	}
	return err
}

// SetSize implements storage.Store.
func (s *Store) SetSize(ctx context.Context, id string, size int64) error {
	if err := layout.CheckMaxSize(size, layout.GrowingCapacity(s.opts.partSize)); err != nil {
		return err
	}
	there, err := s.client.PutIfAbsent(ctx, s.liveKey(id, "size"), strconv.AppendInt(nil, size, 10))
	if err != nil {
		return storage.Unavailable("set the size of", id, err)
	}
	if string(there) != strconv.FormatInt(size, 10) {
		return fmt.Errorf("set the size of %s: %w: %d bytes now, %.20s before", id, storage.ErrSizeMismatch, size, there)
	}
	return nil
}
