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

// Create implements storage.Store. An id that was made here needs no look whether it
// is taken, and neither does one of which Load has just found nothing.
func (s *Store) Create(ctx context.Context, rec storage.Record) error {
	if err := checkMaxSize(rec.Size, maxSize); err != nil {
		return err
	}
	var left []string
	unknown := rec.ClientChosenID && !s.absent.take(rec.ID)
	if unknown {
		t, err := s.unused(ctx, rec)
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
	there, err := s.client.putOnce(ctx, s.liveKey(rec.ID, "record"), text)
	if err != nil {
		return storage.Unavailable("create", rec.ID, errors.Join(err, s.releaseKey(ctx, rec)))
	}
	if !bytes.Equal(there, text) {
		return storage.ErrExists
	}
	// What an earlier upload of the id has left belongs to nobody now, and has other names
	// than what this one will have; its size would be in the way of another.
	_ = s.client.remove(ctx, left...) // or else it is older than the record
	return nil
}

// unused returns no error if no upload has, or lately had, the id, and none claims it as
// the key of its file; and what is there all the same.
func (s *Store) unused(ctx context.Context, rec storage.Record) (listing, error) {
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
	if _, err := s.client.head(ctx, s.doneKey(rec.ID)); !errors.Is(err, errMissing) {
		return t, orElse(err, storage.ErrExists)
	}
	return t, nil
}

// ifNil is then if err is nil.
func orElse(err, then error) error {
	if err == nil {
		return then
	}
	return err
}

// Declare implements storage.Store.
func (s *Store) SetSize(ctx context.Context, id string, size int64) error {
	if err := checkMaxSize(size, growingCapacity(s.opts.partSize)); err != nil {
		return err
	}
	there, err := s.client.putOnce(ctx, s.liveKey(id, "size"), strconv.AppendInt(nil, size, 10))
	if err != nil {
		return storage.Unavailable("declare the size of", id, err)
	}
	if string(there) != strconv.FormatInt(size, 10) {
		return fmt.Errorf("declare %s: %w: %d bytes now, %.20s before", id, storage.ErrSizeMismatch, size, there)
	}
	return nil
}
