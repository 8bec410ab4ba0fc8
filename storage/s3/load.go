package s3

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// looks is how often Load begins again when what it has just found is removed
// before it is read.
const maxLoadAttempts = 5

// Load implements storage.Store. It takes four requests for a live upload of a thousand
// objects or fewer: the listing, the layout, the look for the file, and the parts.
func (s *Store) Load(ctx context.Context, id string) (storage.Upload, error) {
	for range maxLoadAttempts {
		up, err := s.loadOnce(ctx, id)
		if !errors.Is(err, errMissing) {
			return up, err
		}
	}
	return storage.Upload{}, storage.Unavailable("load", id, errMissing)
}

// look is Load, and errMissing if something vanished on the way.
func (s *Store) loadOnce(ctx context.Context, id string) (storage.Upload, error) {
	t, err := s.list(ctx, id)
	switch {
	case err != nil:
		return storage.Upload{}, err
	case t.gone:
		return s.loadGone(ctx, id, t)
	case !t.record, s.retired.has(id):
		return s.loadOver(ctx, id, t)
	}
	up, l, err := s.loadRecord(ctx, id, t)
	if err == nil {
		up, err = s.withFile(ctx, up)
	}
	if err == nil && (up.Finished || l.UploadID == "") { // or else its parts tell that it is live
		up, err = s.withDone(ctx, up)
	}
	if err == nil && !up.Finished {
		up, err = s.withPieces(ctx, up, t, l)
	}
	if err == nil && up.Finished { // needless, and for Retire to remove
		up.Extents = map[string]storage.Extent{}
		for _, p := range t.pieces(up.Record) {
			up.Extents[p.Name] = p
		}
	}
	up.DeadLettered = up.DeliveryPending && t.parked
	return up, err
}

// withPieces adds what has been stored of an upload that is not finished.
func (s *Store) withPieces(ctx context.Context, up storage.Upload, t listing, l layout) (storage.Upload, error) {
	there := t.pieces(up.Record)
	for _, p := range longest(there) {
		up.Add(p)
	}
	var err error
	if l.UploadID != "" {
		up, err = s.withParts(ctx, up, l)
	}
	if err == nil && !up.Finished {
		s.removeCovered(up, there)
	}
	return up, err
}

// longest are the fragments that do not lie in another one.
func longest(fragments []storage.Extent) []storage.Extent {
	slices.SortFunc(fragments, func(a, b storage.Extent) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End))
	})
	var out []storage.Extent
	for _, p := range fragments {
		if len(out) == 0 || p.End > out[len(out)-1].End {
			out = append(out, p)
		}
	}
	return out
}

// removeCovered has those fragments removed later that longer ones, or parts, have made
// needless, and which a process that has ended may not have removed.
func (s *Store) removeCovered(up storage.Upload, there []storage.Extent) {
	var covered []string
	for _, p := range there {
		if _, needed := up.Extents[p.Name]; !needed {
			covered = append(covered, s.fragmentKey(up.ID, p))
		}
	}
	s.needless.add(up.ID, covered...)
}

// loadRecord reads the record, and the layout if there is one.
func (s *Store) loadRecord(ctx context.Context, id string, t listing) (up storage.Upload, l layout, err error) {
	up.ModifiedAt, up.Extents = t.touched, map[string]storage.Extent{}
	d, err := s.loadDecision(ctx, id, t)
	up.Record, l = d.Record, d.layout
	if err == nil && t.size {
		up.Size, err = s.loadSize(ctx, up.Record, t)
	}
	return up, l, err
}

// loadDecision returns the record, and the layout of its creation if there is one. Mostly
// the layout tells of both.
func (s *Store) loadDecision(ctx context.Context, id string, t listing) (d layoutRecord, err error) {
	if len(t.layouts) == 1 {
		d, err = s.loadLayoutAt(ctx, id, t.layouts[0].mark)
		if err != nil || t.agrees(d) {
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

// agrees reports whether the record that is listed is certain to be that of a layout: a
// client has not chosen the id, or its ETag is the MD5 of the same text. (Where S3 encrypts
// by keys of its own that is not so, and the record is read.)
func (t *listing) agrees(d layoutRecord) bool {
	if !d.Record.ClientChosenID {
		return true
	}
	text, err := json.Marshal(d.Record)
	sum := md5.Sum(text)
	return err == nil && t.recordTag == hex.EncodeToString(sum[:])
}

func (s *Store) loadJSON(ctx context.Context, key string, to any) error {
	text, err := s.client.get(ctx, key)
	if err != nil {
		return err
	}
	return storage.Unavailable("read", key, json.Unmarshal(text, to))
}

// loadLayout reads the layout of the creation of which rec is.
func (s *Store) loadLayout(ctx context.Context, rec storage.Record) (layoutRecord, error) {
	return s.loadLayoutAt(ctx, rec.ID, creationMark(rec))
}

func (s *Store) loadLayoutAt(ctx context.Context, id, mark string) (d layoutRecord, err error) {
	return d, s.loadJSON(ctx, s.liveKey(id, layoutName+mark), &d)
}

// loadSize reads the size that was declared late, unless it is of an earlier creation.
func (s *Store) loadSize(ctx context.Context, rec storage.Record, t listing) (int64, error) {
	if rec.Size != storage.Unknown || rec.ClientChosenID && t.isOlder(t.sized) {
		return rec.Size, nil
	}
	text, err := s.client.get(ctx, s.liveKey(rec.ID, "size"))
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, storage.Unavailable("read the size of", rec.ID, err)
}

// withFile returns the upload as finished if its file is there with its size, and
// otherwise as it is.
func (s *Store) withFile(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	h, err := s.client.head(ctx, s.fileKey(up.Record))
	if err != nil && !errors.Is(err, errMissing) {
		return storage.Upload{}, err
	}
	switch id, created := identity(h.metadata[recordName]); {
	case id != up.ID: // there is none, or it is another upload's
		return up, nil
	case created != createdAt(up.Record):
		up, err = s.duplicateRecord(ctx, up, h)
	case up.Size != storage.Unknown && up.Size != h.size:
		return up, nil
	default:
		s.noteFile(up.Record)
		up = finished(up, h)
	}
	s.clearMissing(up.ID)
	up.DeliveryPending = err == nil // as long as there is a record
	return up, err
}

// twiceCreated is the upload of a file that another creation of the same id has led
// to than the record that is there: one that was held up until the upload had come and
// gone, or one at the same time, on an S3 that let both write. A record means nothing
// beside a whole file. That the app has heard of it is not certain.
func (s *Store) duplicateRecord(ctx context.Context, up storage.Upload, h header) (storage.Upload, error) {
	of, err := s.fromFile(ctx, up.ID, h)
	if errors.Is(err, errMissing) { // the file's own record was never written down
		return finished(up, h), nil
	}
	return of, err
}

// withParts adds what the multipart upload has.
func (s *Store) withParts(ctx context.Context, up storage.Upload, l layout) (storage.Upload, error) {
	up.Add(l.piece())
	for p, err := range s.client.parts(ctx, s.fileKey(up.Record), l.UploadID) {
		if errors.Is(err, errRecreated) && !l.Summed {
			continue
		}
		if errors.Is(err, errRecreated) || errors.Is(err, errNoUpload) || errors.Is(err, errMissing) {
			return s.withoutParts(ctx, up)
		}
		if err != nil {
			return storage.Upload{}, err
		}
		if piece, ok := l.partPiece(p, up.Size); ok {
			up.Add(piece)
		}
		if p.stored.After(up.ModifiedAt) {
			up.ModifiedAt = p.stored
		}
	}
	s.clearMissing(up.ID)
	return up, nil
}

// withoutParts finds out what has become of an upload whose parts are not there.
func (s *Store) withoutParts(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	up, err := s.withFile(ctx, up) // it may have become the file just now
	if err == nil {
		up, err = s.withDone(ctx, up)
	}
	if err == nil && !up.Finished {
		err = s.lost(up.ID)
	}
	return up, err
}

// errLost: S3 shows neither all parts of an upload nor its file.
var errLost = errors.New("S3 has neither its parts nor its file")

// lost says what it means that S3 shows neither the parts nor the file. Some S3s
// do so for as long as they make the one out of the other, and to call that gone
// would have the file removed which comes next. So only what stays that way is.
func (s *Store) lost(id string) error {
	since := s.missingSince(id)
	if time.Since(since) < s.opts.lostGrace {
		return storage.Unavailable("load", id, errLost)
	}
	return fmt.Errorf("load %s: %w: %w since %s", id, storage.ErrGone, errLost, since.Format(time.RFC3339))
}

// missingSince returns when this process has first found what is missing now.
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

// seen notes that what may have been missing is there.
func (s *Store) clearMissing(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.missing, what)
}

// loadOver finds an upload without a record: a finished one, or none. Fragments beside
// a finished one came late, from a write that did not know, and are removed.
func (s *Store) loadOver(ctx context.Context, id string, t listing) (storage.Upload, error) {
	up, err := s.loadFile(ctx, id)
	if err == nil && !s.retired.has(id) { // or else they are about to be removed
		var late []string
		for _, p := range t.pieces(up.Record) {
			late = append(late, s.fragmentKey(id, p))
		}
		_ = s.client.remove(ctx, late...) // or else the next Load does
	}
	if errors.Is(err, storage.ErrNotFound) && len(t.keys)+len(t.claims) == 0 {
		s.absent.note(id)
	}
	return up, err
}

// loadFile finds an upload that has nothing but its file.
func (s *Store) loadFile(ctx context.Context, id string) (storage.Upload, error) {
	h, err := s.client.head(ctx, s.fileKey(storage.Record{ID: id}))
	if err != nil && !errors.Is(err, errMissing) {
		return storage.Upload{}, err
	}
	if of, _ := identity(h.metadata[recordName]); of == id {
		return s.fromFile(ctx, id, h)
	}
	return s.fromDone(ctx, id)
}

// fromFile is the upload that a file tells of.
func (s *Store) fromFile(ctx context.Context, id string, h header) (up storage.Upload, err error) {
	if kept := h.metadata[recordName]; strings.HasPrefix(kept, externalRecord) {
		err = s.loadJSON(ctx, s.doneKey(id), &up.Record)
	} else {
		up.Record, err = recordOf(kept)
		err = storage.Unavailable("read the record of", id, err)
	}
	return finished(up, h), err
}

func finished(up storage.Upload, h header) storage.Upload {
	up.Finished, up.Size, up.ModifiedAt = true, h.size, h.modified
	up.Received, up.Extents = ranges.NewSet(ranges.Range{End: h.size}), nil
	up.CRC32C = h.sum
	if up.Partial { // it still has to expire
		up.ModifiedAt = h.stored
	}
	return up
}
