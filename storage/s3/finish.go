package s3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// finishPauses are the pauses between looks at an upload that could not be
// finished: another node may be doing it.
var finishPauses = []time.Duration{0, 100 * time.Millisecond, 500 * time.Millisecond, time.Second}

// Finish implements storage.Store. It trusts what up knows of the parts until S3
// says otherwise, and then asks S3 for them.
func (s *Store) Finish(ctx context.Context, up storage.Upload) error {
	var err error
	if !up.Finished {
		if err = s.makeFile(ctx, up); err == nil {
			return nil
		}
	}
	l := s.prospect(up, storage.Chunk{}) // also what only this process knows of
	for _, pause := range finishPauses {
		time.Sleep(pause)
		s.forget(up.ID)
		now, lookErr := s.Load(ctx, up.ID)
		switch {
		case errors.Is(lookErr, errLost) && storage.Transient(lookErr):
			err = lookErr
			continue
		case lookErr != nil:
			return lookErr
		case now.Finished:
			s.abortNeedless(ctx, up, l)
			return nil
		case s.partsVanished(up, now):
			err = errLost
			continue
		}
		if err = s.makeFile(ctx, now); err == nil || errors.Is(err, storage.ErrIncomplete) || errors.Is(err, storage.ErrKeyTaken) {
			return err
		}
	}
	return storage.Unavailable("finish", up.ID, err)
}

// partsVanished tells whether S3 shows less of a multipart upload now than it has
// confirmed before. Some S3s do for a moment, while they make the file of it. To believe
// so would have the client send everything again, so only what stays that way is.
func (s *Store) partsVanished(before, now storage.Upload) bool {
	l, decided := s.layoutOf(before)
	if !decided || l.UploadID == "" || before.Pieces[layoutName] != now.Pieces[layoutName] {
		return false
	}
	for name := range before.Pieces {
		if _, there := now.Pieces[name]; !there && isPart(name) {
			return time.Since(s.missingSince(l.UploadID)) < s.opts.lostAfter
		}
	}
	s.seen(l.UploadID)
	return false
}

func (s *Store) makeFile(ctx context.Context, up storage.Upload) error {
	if !up.Complete() {
		return fmt.Errorf("finish %s: %w", up.ID, storage.ErrIncomplete)
	}
	if _, put := up.Pieces[fileName]; put {
		return nil
	}
	l, decided := s.layoutOf(up)
	if !decided {
		var err error
		if l, err = s.decide(ctx, up, choose(s.opts.cell, up.Size, storage.Unknown)); err != nil {
			return err
		}
	}
	if s.single(l, up) {
		return s.makeSingle(ctx, up, l)
	}
	parts, err := s.allParts(ctx, up, l)
	if err == nil {
		err = s.client.complete(ctx, s.fileKey(up.Record), l.UploadID, parts)
	}
	if err != nil && !errors.Is(err, errTaken) {
		return err
	}
	there := s.checkFile(ctx, up)
	if there == nil && errors.Is(err, errTaken) {
		s.abortNeedless(ctx, up, l)
	}
	return there
}

// abortNeedless aborts a multipart upload that may be there beside the whole file: one
// that was begun late, by a process that did not know, or that S3 has begun anew when a
// part came while it was completed. If it is what became the file, it is not there.
func (s *Store) abortNeedless(ctx context.Context, up storage.Upload, l layout) {
	if l.UploadID != "" {
		_ = s.client.abort(ctx, s.fileKey(up.Record), l.UploadID) // or else Clean does
	}
}

// makeSingle puts the file at once. A multipart upload can have been begun for it if its
// size was not known to be 0 then.
func (s *Store) makeSingle(ctx context.Context, up storage.Upload, l layout) error {
	if _, err := s.fillCell(ctx, up, l, 1, ranges.Range{End: up.Size}); err != nil {
		return err
	}
	if l.UploadID != "" {
		_ = s.client.abort(ctx, s.fileKey(up.Record), l.UploadID) // or else Clean does
	}
	return nil
}

// checkFile returns nil if the file is there with its size.
func (s *Store) checkFile(ctx context.Context, up storage.Upload) error {
	now, err := s.withFile(ctx, up)
	if err != nil || now.Finished {
		return err
	}
	h, err := s.client.head(ctx, s.fileKey(up.Record))
	if of, _ := identity(h.metadata[recordName]); err == nil && of != up.ID {
		return fmt.Errorf("finish %s: %w", up.ID, storage.ErrKeyTaken)
	}
	return storage.Unavailable("find the file of", up.ID, ifNil(err, errMissing))
}

// allParts lists the parts of the file, and puts those that are still fragments.
func (s *Store) allParts(ctx context.Context, up storage.Upload, l layout) ([]part, error) {
	var parts []part
	for offset := int64(0); offset < up.Size; {
		number, cell := l.cell(offset, up.Size)
		piece, there := up.Pieces[partName(number)]
		if !there || piece.Range != cell {
			var err error
			if piece, err = s.fillCell(ctx, up, l, number, cell); err != nil {
				return nil, err
			}
		}
		p := part{number: number, size: cell.Len()}
		p.parseTag(piece.Tag)
		parts = append(parts, p)
		offset = cell.End
	}
	return parts, nil
}

func (s *Store) fillCell(ctx context.Context, up storage.Upload, l layout, number int32, cell ranges.Range) (storage.Piece, error) {
	b, err := s.assemble(ctx, up, cell, ranges.Set{}, nil)
	if err != nil {
		return storage.Piece{}, err
	}
	defer b.release()
	return s.putCell(ctx, up, l, number, cell, b)
}

// Retire implements storage.Store: it removes all that a finished upload needs no
// more. The record of a Partial one stays, for that still has to expire.
func (s *Store) Retire(ctx context.Context, up storage.Upload) error {
	s.forget(up.ID)
	if up.Partial {
		return nil
	}
	kept, err := s.file(up.Record)
	if err != nil {
		return err
	}
	if up.Key != "" || strings.HasPrefix(kept.metadata[recordName], elsewhere) {
		text, err := json.Marshal(up.Record)
		if err != nil {
			return err
		}
		if _, err := s.client.putOnce(ctx, s.doneKey(up.ID), text); err != nil {
			return storage.Unavailable("finish", up.ID, err)
		}
	}
	keys := []string{s.layoutKey(up.Record)}
	for _, f := range fragments(up, ranges.Range{End: up.Size}) {
		keys = append(keys, s.fragmentKey(up.ID, f))
	}
	ours, err := s.hasID(ctx, up)
	if err != nil {
		return err
	}
	if ours {
		keys = append(keys, s.liveKey(up.ID, "size"), s.liveKey(up.ID, "record"), s.liveKey(up.ID, "parked"))
	}
	if ours && up.Key != "" {
		keys = append(keys, s.claimKey(up.Key, up.ID))
	}
	late := s.needless.take(up.ID)
	err = s.client.remove(ctx, append(keys, late...)...)
	if err != nil {
		s.needless.add(up.ID, late...)
	}
	return err
}

// hasID reports whether the id is a finished upload's still, and not that of another which
// was created since. That costs a request unless its file was seen just now.
func (s *Store) hasID(ctx context.Context, up storage.Upload) (bool, error) {
	if !up.Chosen || s.sawFile(up.Record) {
		return true, nil
	}
	h, err := s.client.head(ctx, s.fileKey(up.Record))
	if err != nil && !errors.Is(err, errMissing) {
		return false, err
	}
	if id, created := identity(h.metadata[recordName]); id == up.ID && created == createdAt(up.Record) {
		return true, nil
	}
	return s.hasRecord(ctx, up.Record)
}

// sawFile reports whether this process has just now seen the file of an upload.
func (s *Store) sawFile(rec storage.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[rec.ID]
	return ok && f.created.Equal(rec.Created) && s.opts.now().Sub(f.at) < s.needless.longestListing()
}

// noteFile notes that the file of an upload is there.
func (s *Store) noteFile(rec storage.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) >= maxRemembered {
		clear(s.files)
	}
	s.files[rec.ID] = fileSeen{rec.Created, s.opts.now()}
}

// fileSeen is when the file of an upload was last seen.
type fileSeen struct{ created, at time.Time }

// Park implements storage.Store.
func (s *Store) Park(ctx context.Context, up storage.Upload) error {
	t, err := s.traces(ctx, up.ID)
	if err != nil || !t.record {
		return err
	}
	return s.client.put(ctx, small(s.liveKey(up.ID, "parked"), []byte("{}")))
}
