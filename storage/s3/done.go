package s3

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// A retired upload is one whose finish event was delivered. It is Finished whether its
// file exists or not, because the app may move that. PREFIX.holdfast/done/ID records it:
// an object with metadata but no body, which is removed by age, or, if it is the only way
// to find the file, a JSON object, which stays.

// done is the stored state of a retired upload.
type done struct {
	storage.Record             // with the size of the file
	Finished       time.Time   `json:"finished,omitzero"`
	Delivered      time.Time   `json:"delivered,omitzero"` // zero if written by an old version
	CRC32C         *crc32c.Sum `json:"crc32c,omitempty"`   // of the whole file, nil if it is not known
}

// withoutFile returns the upload with its file missing.
func (d done) withoutFile() storage.Upload {
	up := storage.Upload{Record: d.Record, Delivered: d.Delivered, Finished: true, FileMissing: true, ModifiedAt: d.Finished, CRC32C: d.CRC32C}
	up.Received = ranges.NewSet(ranges.Range{End: d.Size})
	return up
}

// isOf reports whether d belongs to the same creation of the upload as up.
func (d done) isOf(up storage.Upload) bool {
	return layout.CreatedAt(d.Record) == layout.CreatedAt(up.Record)
}

// noteDelivered stores that the event of a finished upload was delivered.
func (s *Store) noteDelivered(ctx context.Context, up storage.Upload) error {
	if !up.Delivered.IsZero() {
		return nil
	}
	text, err := json.Marshal(done{up.Record, up.ModifiedAt.UTC(), time.Now().UTC(), up.CRC32C})
	if err != nil {
		return err
	}
	o, err := s.doneObject(up.Record, text)
	if err != nil {
		return err
	}
	err = s.client.Put(ctx, o)
	if !errors.Is(err, api.ErrTaken) {
		return err
	}
	there, err := s.loadDone(ctx, up.ID)
	if err != nil || there.isOf(up) {
		return err
	}
	if o, err = s.doneObject(up.Record, text); err != nil {
		return err
	}
	o.IfAbsent = false // replace that of an earlier upload with this id
	return s.client.Put(ctx, o)
}

// doneObject returns the done object, with text in the metadata, or in the body if it must
// not be removed by age.
func (s *Store) doneObject(rec storage.Record, text []byte) (api.Object, error) {
	kept, err := s.file(rec)
	if err != nil {
		return api.Object{}, err
	}
	o := api.JSONObject(s.doneKey(rec.ID), text)
	if rec.Key == "" && !strings.HasPrefix(kept.Metadata[recordName], externalRecord) {
		o = api.JSONObject(s.doneKey(rec.ID), nil)
		o.Metadata = map[string]string{recordName: base64.RawURLEncoding.EncodeToString(text)}
	}
	o.IfAbsent = true
	return o, nil
}

// loadDone reads the done object of an upload. It returns api.ErrMissing if the upload is not
// retired, or was retired by an old version that stored none.
func (s *Store) loadDone(ctx context.Context, id string) (d done, err error) {
	key := s.doneKey(id)
	text, metadata, err := s.client.GetWithMetadata(ctx, key)
	if err == nil && len(text) == 0 {
		text, err = base64.RawURLEncoding.DecodeString(metadata[recordName])
	}
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if errors.Is(err, api.ErrMissing) {
		return d, err
	}
	return d, storage.Unavailable("read", key, err)
}

// withDone adds the delivery state to an upload that still has a record: it may be retired
// already, with its record about to be removed.
func (s *Store) withDone(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	d, err := s.loadDone(ctx, up.ID)
	switch {
	case errors.Is(err, api.ErrMissing):
		return up, nil
	case err != nil:
		return storage.Upload{}, err
	case !d.isOf(up):
		return up, nil
	case up.Finished:
		up.DeliveryPending, up.Delivered = false, d.Delivered
		return up, nil
	case d.Delivered.IsZero():
		return up, nil
	}
	return d.withoutFile(), nil
}

// fromDone loads an upload that has no record, and no file under its id.
func (s *Store) fromDone(ctx context.Context, id string) (storage.Upload, error) {
	d, err := s.loadDone(ctx, id)
	switch {
	case errors.Is(err, api.ErrMissing):
		return storage.Upload{}, storage.ErrNotFound
	case err != nil:
		return storage.Upload{}, err
	case d.Key == "":
		return d.orGone()
	}
	h, err := s.client.Head(ctx, s.fileKey(d.Record))
	if err != nil && !errors.Is(err, api.ErrMissing) {
		return storage.Upload{}, err
	}
	if of, _ := identity(h.Metadata[recordName]); of == id {
		return finished(storage.Upload{Record: d.Record, Delivered: d.Delivered}, h), nil
	}
	return d.orGone()
}

// orGone returns the upload with its file missing, or ErrGone if an old version retired
// it, without a time of delivery.
func (d done) orGone() (storage.Upload, error) {
	if d.Delivered.IsZero() {
		return storage.Upload{}, fmt.Errorf("load %s: %w: its file is missing", d.ID, storage.ErrGone)
	}
	return d.withoutFile(), nil
}

// CleanFinished implements storage.Cleaner. It keeps done objects with a body, which the
// file may still be found by.
func (s *Store) CleanFinished(ctx context.Context, before time.Time) error {
	var old []string
	for e, err := range s.client.List(ctx, s.doneKey("")) {
		if err != nil {
			return err
		}
		if e.Size == 0 && e.Modified.Before(before) {
			old = append(old, e.Key)
		}
		if len(old) == 1000 {
			if err := s.client.Remove(ctx, old...); err != nil {
				return err
			}
			old = nil
		}
	}
	return s.client.Remove(ctx, old...)
}
