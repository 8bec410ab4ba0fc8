package s3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// traces is what a listing shows of an unfinished upload.
type traces struct {
	record, size, layout, gone bool
	fragments                  []ranges.Range
	keys                       []string
	touched                    time.Time
}

func (s *Store) traces(ctx context.Context, id string) (t traces, err error) {
	base := s.liveKey(id, "")
	for e, err := range s.client.list(ctx, base) {
		if err != nil {
			return t, err
		}
		t.add(strings.TrimPrefix(e.key, base), e)
	}
	return t, nil
}

func (t *traces) add(name string, e entry) {
	t.keys = append(t.keys, e.key)
	if e.modified.After(t.touched) {
		t.touched = e.modified
	}
	switch name {
	case "record":
		t.record = true
	case "size":
		t.size = true
	case "layout":
		t.layout = true
	case "gone":
		t.gone = true
	default:
		if r, ok := parseFragment(name); ok && e.size == r.Len() {
			t.fragments = append(t.fragments, r)
		}
	}
}

// Load implements storage.Store. It takes four requests for a live upload: the
// listing, the record, the layout and the parts.
func (s *Store) Load(ctx context.Context, id string) (storage.Upload, error) {
	t, err := s.traces(ctx, id)
	switch {
	case err != nil:
		return storage.Upload{}, err
	case t.gone:
		return storage.Upload{}, storage.ErrGone
	case !t.record:
		return s.loadFile(ctx, id)
	}
	up := storage.Upload{Touched: t.touched, Pieces: map[string]storage.Piece{}}
	err = s.loadRecord(ctx, id, &up)
	if errors.Is(err, errMissing) { // finished, or deleted, since it was listed
		return s.loadFile(ctx, id)
	}
	if err == nil && t.size {
		up.Size, err = s.loadSize(ctx, id)
	}
	if err != nil {
		return storage.Upload{}, err
	}
	for _, r := range t.fragments {
		up.Add(fragmentPiece(r))
	}
	return s.loadParts(ctx, up, t)
}

func (s *Store) loadRecord(ctx context.Context, id string, up *storage.Upload) error {
	text, err := s.client.get(ctx, s.liveKey(id, "record"))
	if err != nil {
		return err
	}
	return storage.Unavailable("read the record of", id, json.Unmarshal(text, &up.Record))
}

func (s *Store) loadSize(ctx context.Context, id string) (int64, error) {
	text, err := s.client.get(ctx, s.liveKey(id, "size"))
	if err != nil {
		return 0, storage.Unavailable("read the size of", id, err)
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, storage.Unavailable("read the size of", id, err)
}

// loadParts adds what the multipart upload has, or finds the file that it, or a
// single put, became.
func (s *Store) loadParts(ctx context.Context, up storage.Upload, t traces) (storage.Upload, error) {
	if !t.layout {
		// There may never have been one, or half a cleaning-up took it away.
		return s.withFile(ctx, up, false)
	}
	l, err := s.loadLayout(ctx, up.ID)
	if errors.Is(err, errMissing) {
		return s.withFile(ctx, up, false)
	}
	if err != nil {
		return storage.Upload{}, err
	}
	up.Add(l.piece())
	for p, err := range s.client.parts(ctx, s.fileKey(up.ID), l.UploadID) {
		if err == errNoUpload || err == errMissing {
			return s.withFile(ctx, up, true)
		}
		if err != nil {
			return storage.Upload{}, err
		}
		if piece, ok := l.partPiece(p, up.Size); ok {
			up.Add(piece)
		}
		if p.modified.After(up.Touched) {
			up.Touched = p.modified
		}
	}
	return up, nil
}

// withFile returns the upload as finished if its file is there with its size. If
// not, and it must be, because its parts are gone, then so is the upload.
func (s *Store) withFile(ctx context.Context, up storage.Upload, must bool) (storage.Upload, error) {
	h, err := s.client.head(ctx, s.fileKey(up.ID))
	switch {
	case err == nil && (up.Size == storage.Unknown || up.Size == h.size) && h.metadata[recordName] != "":
		up.Finished, up.Owed, up.Size, up.Touched = true, true, h.size, h.modified
		return up, nil
	case err != nil && !errors.Is(err, errMissing):
		return storage.Upload{}, err
	case must:
		return storage.Upload{}, fmt.Errorf("%w: S3 has neither its parts nor its file", storage.ErrGone)
	}
	return up, nil
}

// loadFile finds an upload that has nothing but its file.
func (s *Store) loadFile(ctx context.Context, id string) (storage.Upload, error) {
	h, err := s.client.head(ctx, s.fileKey(id))
	kept := h.metadata[recordName]
	if errors.Is(err, errMissing) || err == nil && kept == "" {
		return storage.Upload{}, storage.ErrNotFound
	}
	if err != nil {
		return storage.Upload{}, err
	}
	up := storage.Upload{Finished: true, Touched: h.modified}
	if kept != elsewhere {
		up.Record, err = recordOf(kept)
	} else if text, getErr := s.client.get(ctx, s.doneKey(id)); getErr == nil {
		err = json.Unmarshal(text, &up.Record)
	} else {
		err = getErr
	}
	up.Size = h.size
	return up, storage.Unavailable("read the record of", id, err)
}
