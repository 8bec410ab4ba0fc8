package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// An upload whose file has a key of its own claims that for as long as it is live, by
//
//	PREFIX.holdfast/live/!SHA-256 OF THE KEY/claim/ID
//
// or, where the key could be the id of another upload, whose file would be there too, by
//
//	PREFIX.holdfast/live/KEY/claim/ID
//
// Each puts its claim first and looks for those of others then, so that of two at the
// same time at most one goes on. None removes the claim of another.
func (s *Store) claimKey(key, id string) string { return s.liveKey(claimed(key), claimPrefix+id) }

const claimPrefix = "claim/"

// claim is what a listing shows of one.
type reservation struct {
	id  string // whose it is
	key string // of the object
	at  time.Time
}

// claimed is under which name among the live uploads a key is claimed. No id begins as
// that of another key does, and all ids come after it in a listing.
func claimed(key string) string {
	if storage.CheckID(key) == nil {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "!" + hex.EncodeToString(sum[:])
}

// claim returns nil if the key of the file is the upload's: no other one is to have its
// file there, and nothing is there.
func (s *Store) reserveKey(ctx context.Context, rec storage.Record) error {
	if err := s.claimLive(ctx, rec); err != nil {
		return err
	}
	h, err := s.client.head(ctx, s.fileKey(rec))
	switch of, _ := identity(h.metadata[recordName]); {
	case errors.Is(err, errMissing):
		return nil
	case err != nil:
		return err
	case of == rec.ID:
		return storage.ErrExists
	}
	return storage.ErrKeyTaken
}

// claimLive returns nil if no other live upload is to have its file where that of rec is
// to be. One without a key of its own finds that by its traces.
func (s *Store) claimLive(ctx context.Context, rec storage.Record) error {
	if rec.Key == "" {
		return nil
	}
	if err := s.client.put(ctx, jsonObject(s.claimKey(rec.Key, rec.ID), nil)); err != nil {
		return err
	}
	t, err := s.list(ctx, claimed(rec.Key))
	if err == nil && t.record && rec.Key != rec.ID {
		err = s.retiredOr(ctx, rec.Key, storage.ErrKeyTaken)
	}
	if err != nil {
		return err
	}
	return s.checkReservations(ctx, t, rec.ID)
}

// errClaimed: who claims the key as well may be about to create an upload, or to delete
// one.
var errReserved = errors.New("another upload may have the key")

// uncontested returns nil if no claim in t is that of another live upload. Those that
// creations and deletions have left behind are removed.
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
			if err := s.retiredOr(ctx, c.id, storage.ErrKeyTaken); err != nil {
				return err
			}
		case s.opts.now().Sub(c.at) < s.opts.claimLasts || s.opts.now().Sub(of.touched) < s.opts.claimLasts:
			return storage.Unavailable("claim the key of", id, errReserved)
		}
		if err := s.client.remove(ctx, c.key); err != nil {
			return err
		}
	}
	return nil
}

// retiredOr returns nil if an upload with a record is retired, so that it claims no key any
// more, and otherwise err.
func (s *Store) retiredOr(ctx context.Context, id string, err error) error {
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

// unclaim takes back the claim of an upload that was not created, though its request may
// be over. That of an id which somebody chose stays until it does not count any more:
// another creation of the same id may just succeed.
func (s *Store) releaseKey(ctx context.Context, rec storage.Record) error {
	if rec.Key == "" || rec.ClientChosenID {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return s.client.remove(ctx, s.claimKey(rec.Key, rec.ID))
}

// unclaimOver removes those of claims, by upload, whose upload is over.
func (s *Store) unclaimOver(ctx context.Context, claims map[string][]string) error {
	for id, keys := range claims {
		t, err := s.list(ctx, id)
		if err == nil && !t.gone && !t.record {
			err = s.client.remove(ctx, keys...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// claimants are the ids of all uploads whose file is, or is to be, under a key.
func (s *Store) reservedBy(ctx context.Context, key string) (ids []string, err error) {
	t, err := s.list(ctx, claimed(key))
	if err != nil {
		return nil, err
	}
	for _, c := range t.claims {
		ids = append(ids, c.id)
	}
	if storage.CheckID(key) == nil {
		ids = append(ids, key)
	}
	h, err := s.client.head(ctx, s.opts.Prefix+key)
	if errors.Is(err, errMissing) {
		return ids, nil
	}
	if id, _ := identity(h.metadata[recordName]); id != "" && id != key {
		ids = append(ids, id)
	}
	return ids, err
}
