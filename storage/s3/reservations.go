package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
)

// An upload whose file has a key of its own reserves that key for as long as it is live. The
// reservation is the object
//
//	PREFIX.holdfast/live/!SHA-256 OF THE KEY/claim/ID
//
// or, if the key is a valid upload id, whose upload would have its file there by default,
//
//	PREFIX.holdfast/live/KEY/claim/ID
//
// A creation stores its own reservation first and then looks for others, so that of two
// concurrent ones at most one succeeds. None removes the live reservation of another.
func (s *Store) claimKey(key, id string) string { return s.liveKey(reservedName(key), claimPrefix+id) }

const claimPrefix = "claim/"

// reservation is a reservation in a listing.
type reservation struct {
	id  string // of the upload
	key string // of the object
	at  time.Time
}

// reservedName is the name, among those of live uploads, under which a key is reserved. No
// upload id begins with "!", and all ids sort after it in a listing.
func reservedName(key string) string {
	if storage.CheckID(key) == nil {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "!" + hex.EncodeToString(sum[:])
}

// reserveKey reserves the key of the upload's file. It returns ErrKeyTaken if another upload
// has reserved the key or another object exists there, and ErrExists if the upload's own file
// does.
func (s *Store) reserveKey(ctx context.Context, rec storage.Record) error {
	if err := s.claimLive(ctx, rec); err != nil {
		return err
	}
	h, err := s.client.Head(ctx, s.fileKey(rec))
	switch of, _ := identity(h.Metadata[recordName]); {
	case errors.Is(err, api.ErrMissing):
		return nil
	case err != nil:
		return err
	case of == rec.ID:
		return storage.ErrExists
	}
	return storage.ErrKeyTaken
}

// claimLive reserves the key of rec, and returns an error if another live upload has reserved
// it. For an upload without a key of its own it does nothing: the listing of the upload shows
// the reservations of its id.
func (s *Store) claimLive(ctx context.Context, rec storage.Record) error {
	if rec.Key == "" {
		return nil
	}
	if err := s.client.Put(ctx, api.JSONObject(s.claimKey(rec.Key, rec.ID), nil)); err != nil {
		return err
	}
	t, err := s.list(ctx, reservedName(rec.Key))
	if err == nil && t.record && rec.Key != rec.ID {
		err = s.unlessRetired(ctx, rec.Key, storage.ErrKeyTaken)
	}
	if err != nil {
		return err
	}
	return s.checkReservations(ctx, t, rec.ID)
}

// errReserved means that another upload which reserves the key may be in the middle of its
// creation or deletion.
var errReserved = errors.New("key is reserved by another upload")

// checkReservations returns an error if a reservation in t may be that of another live
// upload. It removes those left behind by creations and deletions.
func (s *Store) checkReservations(ctx context.Context, t listing, id string) error {
	for _, c := range t.claims {
		if c.id == id {
			continue
		}
		of, err := s.list(ctx, c.id)
		switch {
		case err != nil:
			return err
		case of.record && !of.gone:
			if err := s.unlessRetired(ctx, c.id, storage.ErrKeyTaken); err != nil {
				return err
			}
		case s.opts.now().Sub(c.at) < s.opts.reservationTTL || s.opts.now().Sub(of.touched) < s.opts.reservationTTL:
			return storage.Unavailable("reserve the key of", id, errReserved)
		}
		if err := s.client.Remove(ctx, c.key); err != nil {
			return err
		}
	}
	return nil
}

// unlessRetired returns err, or nil if an upload with a record is retired and so reserves no
// key any more.
func (s *Store) unlessRetired(ctx context.Context, id string, err error) error {
	if s.retired.has(id) {
		return nil
	}
	up, loadErr := s.Load(ctx, id)
	switch {
	case loadErr == nil && up.Finished && !up.DeliveryPending:
		return nil
	case storage.Transient(loadErr):
		return loadErr
	}
	return err
}

// releaseKey removes the reservation of an upload whose creation failed, even if ctx is done.
// Reservations for client-chosen ids are left to expire: a concurrent create may be succeeding.
func (s *Store) releaseKey(ctx context.Context, rec storage.Record) error {
	if rec.Key == "" || rec.ClientChosenID {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return s.client.Remove(ctx, s.claimKey(rec.Key, rec.ID))
}

// unclaimOver removes the given reservations, keyed by upload id, of uploads that are not live.
func (s *Store) unclaimOver(ctx context.Context, claims map[string][]string) error {
	for id, keys := range claims {
		t, err := s.list(ctx, id)
		if err == nil && !t.gone && !t.record {
			err = s.client.Remove(ctx, keys...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reservedBy returns the ids of all uploads whose file is, or is to be, under a key, and of
// the one whose file is there, which is "" if none is.
func (s *Store) reservedBy(ctx context.Context, key string) (ids []string, fileOf string, err error) {
	t, err := s.list(ctx, reservedName(key))
	if err != nil {
		return nil, "", err
	}
	for _, c := range t.claims {
		ids = append(ids, c.id)
	}
	if storage.CheckID(key) == nil {
		ids = append(ids, key)
	}
	h, err := s.client.Head(ctx, s.opts.Prefix+key)
	if errors.Is(err, api.ErrMissing) {
		return ids, "", nil
	}
	fileOf, _ = identity(h.Metadata[recordName])
	if fileOf != "" && fileOf != key {
		ids = append(ids, fileOf)
	}
	return ids, fileOf, err
}
