package s3

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// maxLoadAttempts is the maximum number of attempts of Load, which fail if an object is
// removed between its listing and its reading.
const maxLoadAttempts = 5

// Load implements storage.Store. For an unfinished upload of up to a thousand objects it
// takes four requests: the listing, the layout, a HEAD of the file, and the parts.
func (s *Store) Load(ctx context.Context, id string) (storage.Upload, error) {
	for range maxLoadAttempts {
		up, err := s.loadOnce(ctx, id)
		if !errors.Is(err, api.ErrMissing) {
			return up, err
		}
	}
	return storage.Upload{}, storage.Unavailable("load", id, api.ErrMissing)
}

// loadOnce is Load without retries. It returns api.ErrMissing if an object was removed meanwhile.
func (s *Store) loadOnce(ctx context.Context, id string) (storage.Upload, error) {
	t, err := s.list(ctx, id)
	switch {
	case err != nil:
		return storage.Upload{}, err
	case t.gone:
		return s.loadGone(ctx, id, t)
	case !t.record, s.retired.has(id):
		return s.loadWithoutRecord(ctx, id, t)
	}
	up, l, err := s.loadRecord(ctx, id, t)
	if err == nil {
		up, err = s.withFile(ctx, up)
	}
	if err == nil && (up.Finished || l.UploadID == "") { // otherwise its parts show that it is unfinished
		up, err = s.withDone(ctx, up)
	}
	if err == nil && !up.Finished {
		up, err = s.withExtents(ctx, up, t, l)
	}
	if err == nil && up.Finished { // leftover fragments, for MarkDelivered to remove
		up.Extents = storage.NewExtents(t.fragmentsOf(up.Record)...)
	}
	up.DeadLettered = up.DeliveryPending && t.deadLettered
	return up, err
}

// withExtents adds the stored extents to an unfinished upload.
func (s *Store) withExtents(ctx context.Context, up storage.Upload, t listing, l layout.Layout) (storage.Upload, error) {
	stored := t.fragmentsOf(up.Record)
	for _, p := range layout.Uncovered(stored) {
		up.Add(p)
	}
	var err error
	if l.UploadID != "" {
		up, err = s.withParts(ctx, up, l)
	}
	if err == nil && !up.Finished {
		s.removeCovered(up, stored)
	}
	return up, err
}

// removeCovered schedules the removal of fragments that longer ones or parts contain, which
// a process that has ended may have left.
func (s *Store) removeCovered(up storage.Upload, stored []storage.Extent) {
	var covered []string
	for _, p := range stored {
		if !up.Extents.Has(p) {
			covered = append(covered, s.fragmentKey(up.ID, p))
		}
	}
	s.needless.add(up.ID, covered...)
}

// loadRecord reads the record, and the layout if there is one.
func (s *Store) loadRecord(ctx context.Context, id string, t listing) (up storage.Upload, l layout.Layout, err error) {
	up.ModifiedAt = t.touched
	d, err := s.loadLayoutRecord(ctx, id, t)
	up.Record, l = d.Record, d.Layout
	if err == nil && t.size {
		up.Size, err = s.loadSize(ctx, up.Record, t)
	}
	return up, l, err
}

// loadLayoutRecord returns the record, and the layout of its creation if there is one.
// Mostly it reads only the layout object, which holds both.
func (s *Store) loadLayoutRecord(ctx context.Context, id string, t listing) (d layoutRecord, err error) {
	if len(t.layouts) == 1 {
		d, err = s.loadLayoutAt(ctx, id, t.layouts[0].mark)
		if err != nil || t.recordMatches(d) {
			return d, err
		}
	}
	var rec storage.Record
	if err := s.loadJSON(ctx, s.liveKey(id, "record"), &rec); err != nil {
		return d, err
	}
	for _, m := range t.layouts {
		if !t.isOf(rec, m) {
			continue
		}
		if len(t.layouts) > 1 {
			d, err = s.loadLayoutAt(ctx, id, m.mark)
		}
		if err != nil || d.Record.Created.Equal(rec.Created) {
			return d, err
		}
	}
	return layoutRecord{Record: rec}, nil
}

// recordMatches reports whether the listed record is certain to be the one in a layout: the
// id was not chosen by a client, or its ETag is the MD5 of the same text. (With
// server-side encryption an ETag may be no MD5; then the record is read.)
func (t *listing) recordMatches(d layoutRecord) bool {
	if !d.Record.ClientChosenID {
		return true
	}
	text, err := json.Marshal(d.Record)
	sum := md5.Sum(text)
	return err == nil && t.recordTag == hex.EncodeToString(sum[:])
}

func (s *Store) loadJSON(ctx context.Context, key string, to any) error {
	text, err := s.client.Get(ctx, key)
	if err != nil {
		return err
	}
	return storage.Unavailable("read", key, json.Unmarshal(text, to))
}

// loadLayout reads the layout of the same creation as rec.
func (s *Store) loadLayout(ctx context.Context, rec storage.Record) (layoutRecord, error) {
	return s.loadLayoutAt(ctx, rec.ID, layout.CreationMark(rec))
}

func (s *Store) loadLayoutAt(ctx context.Context, id, mark string) (d layoutRecord, err error) {
	return d, s.loadJSON(ctx, s.liveKey(id, layout.ObjectName+mark), &d)
}

// loadSize reads the size that was set after creation, unless it is of an earlier creation.
func (s *Store) loadSize(ctx context.Context, rec storage.Record, t listing) (int64, error) {
	if rec.Size != storage.Unknown || rec.ClientChosenID && t.isOlder(t.sized) {
		return rec.Size, nil
	}
	text, err := s.client.Get(ctx, s.liveKey(rec.ID, "size"))
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, storage.Unavailable("read the size of", rec.ID, err)
}

// withFile returns the upload as finished if its file exists with the right size, and
// otherwise unchanged.
func (s *Store) withFile(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	h, err := s.client.Head(ctx, s.fileKey(up.Record))
	if err != nil && !errors.Is(err, api.ErrMissing) {
		return storage.Upload{}, err
	}
	switch id, created := identity(h.Metadata[recordName]); {
	case id != up.ID: // no file, or another upload's
		return up, nil
	case created != layout.CreatedAt(up.Record):
		up, err = s.duplicateRecord(ctx, up, h)
	case up.Size != storage.Unknown && up.Size != h.Size:
		return up, nil
	default:
		s.noteFile(up.Record)
		up = finished(up, h)
	}
	s.clearMissing(up.ID)
	up.DeliveryPending = err == nil // true as long as there is a record
	return up, err
}

// duplicateRecord returns the upload of a file that comes from another creation of the id
// than the stored record: that record was written by a creation that was delayed until the
// upload had ended, or by a concurrent one on a server that let both write. The file takes
// precedence over the record. Its event may not have been delivered.
func (s *Store) duplicateRecord(ctx context.Context, up storage.Upload, h api.Header) (storage.Upload, error) {
	of, err := s.fromFile(ctx, up.ID, h)
	if errors.Is(err, api.ErrMissing) { // the file's own record was not stored
		return finished(up, h), nil
	}
	return of, err
}

// withParts adds the parts of the multipart upload.
func (s *Store) withParts(ctx context.Context, up storage.Upload, l layout.Layout) (storage.Upload, error) {
	up.Add(l.Extent())
	for p, err := range s.client.Parts(ctx, s.fileKey(up.Record), l.UploadID) {
		if errors.Is(err, api.ErrRecreated) && !l.Summed {
			continue
		}
		if errors.Is(err, api.ErrRecreated) || errors.Is(err, api.ErrNoUpload) || errors.Is(err, api.ErrMissing) {
			return s.withoutParts(ctx, up)
		}
		if err != nil {
			return storage.Upload{}, err
		}
		if extent, ok := l.PartExtent(p.Number, p.Size, p.Tag(), up.Size); ok {
			up.Add(extent)
		}
		if p.Stored.After(up.ModifiedAt) {
			up.ModifiedAt = p.Stored
		}
	}
	s.clearMissing(up.ID)
	return up, nil
}

// withoutParts loads an upload whose parts are missing: it may be finished, or lost.
func (s *Store) withoutParts(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	up, err := s.withFile(ctx, up) // it may just have been completed
	if err == nil {
		up, err = s.withDone(ctx, up)
	}
	if err == nil && !up.Finished {
		err = s.lostError(ctx, up.ID)
	}
	return up, err
}

// missingSince returns when this process first found that what (an upload or a multipart
// upload, by id) is missing, which is now if that is new.
func (s *Store) missingSince(what string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, known := s.missing[what]
	if !known {
		since = time.Now()
		s.missing[what] = since
	}
	return since
}

// clearMissing records that what is not missing, or not any more.
func (s *Store) clearMissing(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.missing, what)
}

// loadWithoutRecord loads an upload without a record: a finished one, or none. It removes
// fragments that late writes have left beside a finished one.
func (s *Store) loadWithoutRecord(ctx context.Context, id string, t listing) (storage.Upload, error) {
	up, err := s.loadFile(ctx, id)
	if err == nil && !s.retired.has(id) { // otherwise their removal is scheduled
		var late []string
		for _, p := range t.fragmentsOf(up.Record) {
			late = append(late, s.fragmentKey(id, p))
		}
		_ = s.client.Remove(ctx, late...) // on failure, the next Load tries again
	}
	if errors.Is(err, storage.ErrNotFound) && len(t.keys)+len(t.claims) == 0 {
		s.absent.add(id)
	}
	return up, err
}

// loadFile loads an upload of which at most the file and the done object are left.
func (s *Store) loadFile(ctx context.Context, id string) (storage.Upload, error) {
	h, err := s.client.Head(ctx, s.fileKey(storage.Record{ID: id}))
	if err != nil && !errors.Is(err, api.ErrMissing) {
		return storage.Upload{}, err
	}
	if of, _ := identity(h.Metadata[recordName]); of == id {
		return s.fromFile(ctx, id, h)
	}
	return s.fromDone(ctx, id)
}

// fromFile returns the upload that a file belongs to, by the metadata of the file.
func (s *Store) fromFile(ctx context.Context, id string, h api.Header) (up storage.Upload, err error) {
	if kept := h.Metadata[recordName]; strings.HasPrefix(kept, externalRecord) {
		err = s.loadJSON(ctx, s.doneKey(id), &up.Record)
	} else {
		up.Record, err = recordOf(kept)
		err = storage.Unavailable("read the record of", id, err)
	}
	return finished(up, h), err
}

// finished returns up as a finished upload with the given file.
func finished(up storage.Upload, h api.Header) storage.Upload {
	up.Finished, up.Size, up.ModifiedAt = true, h.Size, h.Modified
	up.Received, up.Extents = ranges.NewSet(ranges.Range{End: h.Size}), storage.Extents{}
	up.CRC32C = h.Sum
	if up.Partial { // expires by this process's clock
		up.ModifiedAt = h.Stored
	}
	return up
}
