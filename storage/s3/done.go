package s3

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// A retired upload is Finished whether its file is there or not, for the app may move it.
// What tells of it then is PREFIX.holdfast/done/ID. It is an object without a body, which
// says all in its metadata and is removed by age, or, where the file can be found by it
// alone, JSON, which stays.

// done is what is known of a retired upload.
type done struct {
	storage.Record           // with the size of the file
	Finished       time.Time `json:"finished,omitzero"`
	Delivered      time.Time `json:"delivered,omitzero"` // zero in what was written by versions that did not say
}

// remembered is the upload without its file.
func (d done) remembered() storage.Upload {
	up := storage.Upload{Record: d.Record, Delivered: d.Delivered, Finished: true, FileMissing: true, ModifiedAt: d.Finished}
	up.Received = ranges.NewSet(ranges.Range{End: d.Size})
	return up
}

// isOf reports whether d tells of the same creation of the upload.
func (d done) isOf(up storage.Upload) bool { return createdAt(d.Record) == createdAt(up.Record) }

// noteDelivered writes down that the event of a finished upload was delivered.
func (s *Store) noteDelivered(ctx context.Context, up storage.Upload) error {
	if !up.Delivered.IsZero() {
		return nil
	}
	text, err := json.Marshal(done{up.Record, up.ModifiedAt.UTC(), time.Now().UTC()})
	if err != nil {
		return err
	}
	o, err := s.doneObject(up.Record, text)
	if err != nil {
		return err
	}
	err = s.client.put(ctx, o)
	if !errors.Is(err, errTaken) {
		return err
	}
	there, err := s.loadDone(ctx, up.ID)
	if err != nil || there.isOf(up) {
		return err
	}
	if o, err = s.doneObject(up.Record, text); err != nil {
		return err
	}
	o.ifAbsent = false // what is there is of an earlier upload
	return s.client.put(ctx, o)
}

// doneObject has text in its metadata, or in its body if it must not be removed by age.
func (s *Store) doneObject(rec storage.Record, text []byte) (object, error) {
	kept, err := s.file(rec)
	if err != nil {
		return object{}, err
	}
	o := jsonObject(s.doneKey(rec.ID), text)
	if rec.Key == "" && !strings.HasPrefix(kept.metadata[recordName], externalRecord) {
		o = jsonObject(s.doneKey(rec.ID), nil)
		o.metadata = map[string]string{recordName: base64.RawURLEncoding.EncodeToString(text)}
	}
	o.ifAbsent = true
	return o, nil
}

// loadDone reads what is known of a retired upload, errMissing if it is none, or if it was
// retired by a version that did not say so.
func (s *Store) loadDone(ctx context.Context, id string) (d done, err error) {
	key := s.doneKey(id)
	text, metadata, err := s.client.getWithMetadata(ctx, key)
	if err == nil && len(text) == 0 {
		text, err = base64.RawURLEncoding.DecodeString(metadata[recordName])
	}
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if errors.Is(err, errMissing) {
		return d, err
	}
	return d, storage.Unavailable("read", key, err)
}

func (c *client) getWithMetadata(ctx context.Context, key string) (text []byte, metadata map[string]string, err error) {
	out, err := c.s3.GetObject(ctx, &awss3.GetObjectInput{Bucket: c.bucket, Key: &key})
	if err != nil {
		return nil, nil, mapError("get", key, err)
	}
	defer out.Body.Close()
	text, err = io.ReadAll(out.Body)
	return text, out.Metadata, mapError("get", key, err)
}

// withDone completes what was found of an upload that still has a record: it may be
// retired, and its record only wait to be removed.
func (s *Store) withDone(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	d, err := s.loadDone(ctx, up.ID)
	switch {
	case errors.Is(err, errMissing):
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
	return d.remembered(), nil
}

// fromDone finds an upload that has no record, and no file under its id.
func (s *Store) fromDone(ctx context.Context, id string) (storage.Upload, error) {
	d, err := s.loadDone(ctx, id)
	switch {
	case errors.Is(err, errMissing):
		return storage.Upload{}, storage.ErrNotFound
	case err != nil:
		return storage.Upload{}, err
	case d.Key == "":
		return d.orGone()
	}
	h, err := s.client.head(ctx, s.fileKey(d.Record))
	if err != nil && !errors.Is(err, errMissing) {
		return storage.Upload{}, err
	}
	if of, _ := identity(h.metadata[recordName]); of == id {
		return finished(storage.Upload{Record: d.Record, Delivered: d.Delivered}, h), nil
	}
	return d.orGone()
}

// orGone is the upload without its file, or ErrGone if it is not known when it was retired.
func (d done) orGone() (storage.Upload, error) {
	if d.Delivered.IsZero() {
		return storage.Upload{}, fmt.Errorf("load %s: %w: its file is missing", d.ID, storage.ErrGone)
	}
	return d.remembered(), nil
}

// CleanFinished implements storage.Cleaner. What has a body stays: the file may be there.
func (s *Store) CleanFinished(ctx context.Context, before time.Time) error {
	var old []string
	for e, err := range s.client.list(ctx, s.doneKey("")) {
		if err != nil {
			return err
		}
		if e.size == 0 && e.modified.Before(before) {
			old = append(old, e.key)
		}
		if len(old) == 1000 {
			if err := s.client.remove(ctx, old...); err != nil {
				return err
			}
			old = nil
		}
	}
	return s.client.remove(ctx, old...)
}
