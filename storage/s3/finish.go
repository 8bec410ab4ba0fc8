package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// finishPauses are the pauses before each retry of an upload that could not be finished:
// another node may be finishing it.
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

// finish completes the upload from the parts that up has. If S3 rejects them, it loads the
// upload from S3 and tries again.
func (s *Store) finish(ctx context.Context, up storage.Upload) (done storage.Upload, err error) {
	if !up.Finished {
		if done, err = s.complete(ctx, up); err == nil {
			return done, nil
		}
	}
	l := s.plannedLayout(up, storage.Chunk{}) // may be cached by this process only
	for _, pause := range finishPauses {
		time.Sleep(pause)
		s.dropCached(up.ID)
		s.active.forget(up.ID)
		now, loadErr := s.Load(ctx, up.ID)
		switch {
		case errors.Is(loadErr, errLost) && storage.Transient(loadErr):
			err = loadErr
			continue
		case loadErr != nil:
			return up, loadErr
		case now.Finished:
			s.abortLeftover(ctx, up, l)
			return now, nil
		case s.partsVanished(up, now):
			err = errCompleting
			continue
		}
		if done, err = s.complete(ctx, now); err == nil || errors.Is(err, storage.ErrIncomplete) || errors.Is(err, storage.ErrKeyTaken) {
			return done, err
		}
	}
	return up, storage.Unavailable("finish", up.ID, err)
}

// partsVanished reports whether S3 lists fewer parts of a multipart upload than it has
// confirmed before, for less than lostGrace. Some servers do so for a moment while they
// complete it; if that were believed, the client would have to send everything again.
func (s *Store) partsVanished(before, now storage.Upload) bool {
	l, decided := s.layoutOf(before)
	if !decided || l.UploadID == "" || layout.Stored(before) != layout.Stored(now) {
		return false
	}
	for p := range before.Extents.All() {
		if _, there := now.Extents.Get(p.Range, p.Name); !there && p.Kind == layout.Part {
			return time.Since(s.missingSince(l.UploadID)) < s.opts.lostGrace
		}
	}
	s.clearMissing(l.UploadID)
	return false
}

// complete creates the file of a complete upload, and returns up with its checksum.
func (s *Store) complete(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	if !up.Complete() {
		return up, fmt.Errorf("finish %s: %w", up.ID, storage.ErrIncomplete)
	}
	if file, put := layout.FileOf(up); put {
		return layout.WithFileSum(up, file), nil
	}
	l, decided := s.layoutOf(up)
	if !decided {
		var err error
		if l, err = s.createLayout(ctx, up, layout.Choose(s.opts.partSize, up.Size, storage.Unknown)); err != nil {
			return up, err
		}
	}
	if s.single(l, up) {
		return s.putSingle(ctx, up, l)
	}
	parts, err := s.allParts(ctx, up, l)
	if err == nil {
		err = s.clientOf(l).Complete(ctx, s.fileKey(up.Record), l.UploadID, parts)
	}
	if err != nil && !errors.Is(err, api.ErrTaken) {
		return up, err
	}
	done, checkErr := s.checkFile(ctx, up)
	if checkErr == nil && errors.Is(err, api.ErrTaken) {
		s.abortLeftover(ctx, up, l)
	}
	return done, checkErr
}

// abortLeftover aborts a multipart upload that may exist beside the finished file: one that
// a process created late, unaware of the file, or that S3 recreated when a part arrived
// during completion. If it became the file, the abort has no effect.
func (s *Store) abortLeftover(ctx context.Context, up storage.Upload, l layout.Layout) {
	if l.UploadID != "" {
		_ = s.client.Abort(ctx, s.fileKey(up.Record), l.UploadID) // on failure, Clean aborts it
	}
}

// putSingle creates the file with one put. There can be a multipart upload if one was
// begun before the size was known to be 0.
func (s *Store) putSingle(ctx context.Context, up storage.Upload, l layout.Layout) (storage.Upload, error) {
	file, err := s.fillSlot(ctx, up, l, 1, ranges.Range{End: up.Size})
	if err != nil {
		return up, err
	}
	if l.UploadID != "" {
		_ = s.client.Abort(ctx, s.fileKey(up.Record), l.UploadID) // on failure, Clean aborts it
	}
	return layout.WithFileSum(up, file), nil
}

// checkFile returns the upload as finished if its file exists with the right size, and an
// error otherwise.
func (s *Store) checkFile(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	now, err := s.withFile(ctx, up)
	if err != nil || now.Finished {
		return now, err
	}
	h, err := s.client.Head(ctx, s.fileKey(up.Record))
	if of, _ := identity(h.Metadata[recordName]); err == nil && of != up.ID {
		return up, fmt.Errorf("finish %s: %w", up.ID, storage.ErrKeyTaken)
	}
	return up, storage.Unavailable("find the file of", up.ID, orElse(err, api.ErrMissing))
}

// allParts returns the parts of the file. Those that are still fragments it uploads.
func (s *Store) allParts(ctx context.Context, up storage.Upload, l layout.Layout) ([]api.Part, error) {
	var parts []api.Part
	for offset := int64(0); offset < up.Size; {
		number, slot := l.Slot(offset, up.Size)
		extent, ok := layout.PartOf(up, number, slot)
		if !ok {
			var err error
			if extent, err = s.fillSlot(ctx, up, l, number, slot); err != nil {
				return nil, err
			}
		}
		p := api.Part{Number: number, Size: slot.Len()}
		p.ParseTag(extent.Meta)
		parts = append(parts, p)
		offset = slot.End
	}
	return parts, nil
}

// fillSlot uploads a part that is assembled from fragments.
func (s *Store) fillSlot(ctx context.Context, up storage.Upload, l layout.Layout, number int32, slot ranges.Range) (storage.Extent, error) {
	b, err := s.assemble(ctx, up, slot, ranges.Set{}, nil)
	if err != nil {
		return storage.Extent{}, err
	}
	defer b.release()
	return s.uploadPart(ctx, up, l, number, slot, b)
}

// MarkDelivered implements storage.Store: it stores that the event was delivered, and
// schedules the removal of all objects that a finished upload does not need any more. The
// record of a Partial upload stays, because that still has to expire.
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
		return storage.Unavailable("mark delivered", up.ID, err)
	}
	keys := []string{s.layoutKey(up.Record)}
	for _, f := range layout.Fragments(up, ranges.Range{End: up.Size}) {
		keys = append(keys, s.fragmentKey(up.ID, f))
	}
	if !ours {
		s.needless.add(up.ID, keys...)
		return nil
	}
	keys = append(keys, s.liveKey(up.ID, "size"), s.liveKey(up.ID, "record"), s.liveKey(up.ID, "deadletter"))
	if up.Key != "" {
		keys = append(keys, s.claimKey(up.Key, up.ID))
	}
	s.retired.add(up.ID, append(keys, s.needless.take(up.ID)...)...)
	return nil
}

// hasID reports whether the id still belongs to the finished upload, and not to one that
// was created since. It takes a request unless the file was found recently.
func (s *Store) hasID(ctx context.Context, up storage.Upload) (bool, error) {
	if !up.ClientChosenID || s.foundFile(up.Record) {
		return true, nil
	}
	h, err := s.client.Head(ctx, s.fileKey(up.Record))
	if err != nil && !errors.Is(err, api.ErrMissing) {
		return false, err
	}
	if id, created := identity(h.Metadata[recordName]); id == up.ID && created == layout.CreatedAt(up.Record) {
		return true, nil
	}
	return s.hasRecord(ctx, up.Record)
}

// foundFile reports whether this process has recently found the file of an upload.
func (s *Store) foundFile(rec storage.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[rec.ID]
	return ok && f.created.Equal(rec.Created) && s.opts.now().Sub(f.at) < s.needless.longestListing()
}

// noteFile records that the file of an upload exists.
func (s *Store) noteFile(rec storage.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) >= maxCachedLayouts {
		clear(s.files)
	}
	s.files[rec.ID] = fileFound{rec.Created, s.opts.now()}
}

// fileFound is when the file of an upload, created at the given time, was last found.
type fileFound struct{ created, at time.Time }

// DeadLetter implements storage.Store.
func (s *Store) DeadLetter(ctx context.Context, up storage.Upload) error {
	t, err := s.list(ctx, up.ID)
	if err != nil || !t.record {
		return err
	}
	return s.client.Put(ctx, api.JSONObject(s.liveKey(up.ID, "deadletter"), []byte("{}")))
}
