package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// finishPauses are the pauses between looks at an upload that could not be
// finished: another node may be doing it.
var finishPauses = []time.Duration{0, 100 * time.Millisecond, 500 * time.Millisecond, time.Second}

// Finish implements storage.Store.
func (s *Store) Finish(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	now := s.active.join(up)
	defer s.active.leave(now)
	done, err := s.finish(ctx, up)
	if now.isGone() {
		l, _ := s.layoutOf(up)
		return done, s.undo(ctx, "finish", up, l)
	}
	return done, err
}

// finish trusts what up knows of the parts until S3 says otherwise, and then asks S3 for
// them.
func (s *Store) finish(ctx context.Context, up storage.Upload) (done storage.Upload, err error) {
	if !up.Finished {
		if done, err = s.complete(ctx, up); err == nil {
			return done, nil
		}
	}
	l := s.plannedLayout(up, storage.Chunk{}) // also what only this process knows of
	for _, pause := range finishPauses {
		time.Sleep(pause)
		s.dropCached(up.ID)
		s.active.forget(up.ID)
		now, lookErr := s.Load(ctx, up.ID)
		switch {
		case errors.Is(lookErr, errLost) && storage.Transient(lookErr):
			err = lookErr
			continue
		case lookErr != nil:
			return up, lookErr
		case now.Finished:
			s.abortLeftover(ctx, up, l)
			return now, nil
		case s.partsVanished(up, now):
			err = errLost
			continue
		}
		if done, err = s.complete(ctx, now); err == nil || errors.Is(err, storage.ErrIncomplete) || errors.Is(err, storage.ErrKeyTaken) {
			return done, err
		}
	}
	return up, storage.Unavailable("finish", up.ID, err)
}

// partsVanished tells whether S3 shows less of a multipart upload now than it has
// confirmed before. Some S3s do for a moment, while they make the file of it. To believe
// so would have the client send everything again, so only what stays that way is.
func (s *Store) partsVanished(before, now storage.Upload) bool {
	l, decided := s.layoutOf(before)
	if !decided || l.UploadID == "" || before.Extents[layoutName] != now.Extents[layoutName] {
		return false
	}
	for name := range before.Extents {
		if _, there := now.Extents[name]; !there && isPart(name) {
			return time.Since(s.missingSince(l.UploadID)) < s.opts.lostGrace
		}
	}
	s.clearMissing(l.UploadID)
	return false
}

// makeFile makes the file of a complete upload, and returns up with its checksum.
func (s *Store) complete(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	if !up.Complete() {
		return up, fmt.Errorf("finish %s: %w", up.ID, storage.ErrIncomplete)
	}
	if file, put := up.Extents[fileName]; put {
		return withFileSum(up, file), nil
	}
	l, decided := s.layoutOf(up)
	if !decided {
		var err error
		if l, err = s.createLayout(ctx, up, choose(s.opts.partSize, up.Size, storage.Unknown)); err != nil {
			return up, err
		}
	}
	if s.single(l, up) {
		return s.putSingle(ctx, up, l)
	}
	parts, err := s.allParts(ctx, up, l)
	if err == nil {
		err = s.client.complete(ctx, s.fileKey(up.Record), l.UploadID, parts)
	}
	if err != nil && !errors.Is(err, errTaken) {
		return up, err
	}
	done, notThere := s.checkFile(ctx, up)
	if notThere == nil && errors.Is(err, errTaken) {
		s.abortLeftover(ctx, up, l)
	}
	return done, notThere
}

// abortNeedless aborts a multipart upload that may be there beside the whole file: one
// that was begun late, by a process that did not know, or that S3 has begun anew when a
// part came while it was completed. If it is what became the file, it is not there.
func (s *Store) abortLeftover(ctx context.Context, up storage.Upload, l layout) {
	if l.UploadID != "" {
		_ = s.client.abort(ctx, s.fileKey(up.Record), l.UploadID) // or else Clean does
	}
}

// makeSingle puts the file at once. A multipart upload can have been begun for it if its
// size was not known to be 0 then.
func (s *Store) putSingle(ctx context.Context, up storage.Upload, l layout) (storage.Upload, error) {
	file, err := s.fillSlot(ctx, up, l, 1, ranges.Range{End: up.Size})
	if err != nil {
		return up, err
	}
	if l.UploadID != "" {
		_ = s.client.abort(ctx, s.fileKey(up.Record), l.UploadID) // or else Clean does
	}
	return withFileSum(up, file), nil
}

// checkFile returns the upload as finished if the file is there with its size, and an
// error otherwise.
func (s *Store) checkFile(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	now, err := s.withFile(ctx, up)
	if err != nil || now.Finished {
		return now, err
	}
	h, err := s.client.head(ctx, s.fileKey(up.Record))
	if of, _ := identity(h.metadata[recordName]); err == nil && of != up.ID {
		return up, fmt.Errorf("finish %s: %w", up.ID, storage.ErrKeyTaken)
	}
	return up, storage.Unavailable("find the file of", up.ID, orElse(err, errMissing))
}

// allParts lists the parts of the file, and puts those that are still fragments.
func (s *Store) allParts(ctx context.Context, up storage.Upload, l layout) ([]part, error) {
	var parts []part
	for offset := int64(0); offset < up.Size; {
		number, slot := l.slot(offset, up.Size)
		piece, there := up.Extents[partName(number)]
		if !there || piece.Range != slot {
			var err error
			if piece, err = s.fillSlot(ctx, up, l, number, slot); err != nil {
				return nil, err
			}
		}
		p := part{number: number, size: slot.Len()}
		p.parseTag(piece.Meta)
		parts = append(parts, p)
		offset = slot.End
	}
	return parts, nil
}

func (s *Store) fillSlot(ctx context.Context, up storage.Upload, l layout, number int32, slot ranges.Range) (storage.Extent, error) {
	b, err := s.assemble(ctx, up, slot, ranges.Set{}, nil)
	if err != nil {
		return storage.Extent{}, err
	}
	defer b.release()
	return s.uploadPart(ctx, up, l, number, slot, b)
}

// Retire implements storage.Store: it notes that the event was delivered, and has all
// removed soon that a finished upload needs no more. The record of a Partial one stays,
// for that still has to expire.
func (s *Store) MarkDelivered(ctx context.Context, up storage.Upload) error {
	s.dropCached(up.ID)
	if up.Partial {
		return nil
	}
	ours, err := s.hasID(ctx, up)
	if err == nil && ours {
		err = s.noteDelivered(ctx, up)
	}
	if err != nil {
		return storage.Unavailable("retire", up.ID, err)
	}
	keys := []string{s.layoutKey(up.Record)}
	for _, f := range fragments(up, ranges.Range{End: up.Size}) {
		keys = append(keys, s.fragmentKey(up.ID, f))
	}
	if !ours {
		s.needless.add(up.ID, keys...)
		return nil
	}
	keys = append(keys, s.liveKey(up.ID, "size"), s.liveKey(up.ID, "record"), s.liveKey(up.ID, "parked"))
	if up.Key != "" {
		keys = append(keys, s.claimKey(up.Key, up.ID))
	}
	s.retired.add(up.ID, append(keys, s.needless.take(up.ID)...)...)
	return nil
}

// hasID reports whether the id is a finished upload's still, and not that of another which
// was created since. That costs a request unless its file was seen just now.
func (s *Store) hasID(ctx context.Context, up storage.Upload) (bool, error) {
	if !up.ClientChosenID || s.sawFile(up.Record) {
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
	if len(s.files) >= maxCachedLayouts {
		clear(s.files)
	}
	s.files[rec.ID] = fileSeen{rec.Created, s.opts.now()}
}

// fileSeen is when the file of an upload was last seen.
type fileSeen struct{ created, at time.Time }

// Park implements storage.Store.
func (s *Store) DeadLetter(ctx context.Context, up storage.Upload) error {
	t, err := s.list(ctx, up.ID)
	if err != nil || !t.record {
		return err
	}
	return s.client.put(ctx, jsonObject(s.liveKey(up.ID, "parked"), []byte("{}")))
}
