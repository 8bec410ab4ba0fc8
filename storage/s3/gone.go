package s3

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
)

// gone is the tombstone of a deleted upload.
type gone struct {
	storage.Record // only what identifies the creation, and the key of its file
	// Pending is the content of the finish event, if that was still to be delivered when
	// the upload was deleted. It remains to be delivered as long as there is a record too.
	Pending *done `json:"pending,omitempty"`
}

// markGone writes the tombstone of an upload, unless there is one, and returns it.
func (s *Store) markGone(ctx context.Context, rec storage.Record, t listing) (g gone, err error) {
	key := s.liveKey(rec.ID, "gone")
	if t.gone {
		if t.record {
			err = s.loadJSON(ctx, key, &g)
		}
		return g, err
	}
	g.Record = storage.Record{ID: rec.ID, Key: rec.Key, ClientChosenID: rec.ClientChosenID, Created: rec.Created}
	if t.record && !t.deadLettered {
		if g.Pending, err = s.pendingEvent(ctx, rec); err != nil {
			return g, err
		}
	}
	text, err := json.Marshal(g)
	if err == nil {
		err = s.checkAge(t)
	}
	if err != nil {
		return g, err
	}
	err = s.client.Put(ctx, api.JSONObject(key, text))
	if err != nil {
		if _, headErr := s.client.Head(ctx, key); headErr == nil {
			err = nil // only the response was lost: go on
		}
	}
	return g, err
}

// pendingEvent returns the content of the finish event of an upload if that is still to be
// delivered, or else nil.
func (s *Store) pendingEvent(ctx context.Context, rec storage.Record) (*done, error) {
	up, err := s.withFile(ctx, storage.Upload{Record: rec})
	if err == nil && up.Finished {
		up, err = s.withDone(ctx, up)
	}
	if err != nil || !up.DeliveryPending || up.Partial {
		return nil, err
	}
	return &done{Record: up.Record, Finished: up.ModifiedAt}, nil
}

// loadGone returns ErrGone, with the upload if its event is still to be delivered.
func (s *Store) loadGone(ctx context.Context, id string, t listing) (storage.Upload, error) {
	if !t.record || s.retired.has(id) {
		return storage.Upload{}, storage.ErrGone
	}
	var g gone
	if err := s.loadJSON(ctx, s.liveKey(id, "gone"), &g); err != nil {
		return storage.Upload{}, err
	}
	if g.Pending == nil {
		return storage.Upload{}, storage.ErrGone
	}
	up := g.Pending.withoutFile()
	d, err := s.loadDone(ctx, id)
	switch {
	case err == nil && d.isOf(up):
		return storage.Upload{}, storage.ErrGone
	case err != nil && !errors.Is(err, api.ErrMissing):
		return storage.Upload{}, err
	}
	up.FileMissing, up.Deleted, up.DeliveryPending, up.DeadLettered = false, true, true, t.deadLettered
	return up, storage.ErrGone
}

// eventPending reports whether the event of a deleted upload has still to be delivered.
func (s *Store) eventPending(ctx context.Context, id string, t listing) (bool, error) {
	up, err := s.loadGone(ctx, id, t)
	if errors.Is(err, storage.ErrGone) {
		err = nil
	}
	return up.DeliveryPending && !up.DeadLettered, err
}
