package s3

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// plannedLayout returns the layout of up, or the one that it would get for chunks like c,
// which has no UploadID yet.
func (s *Store) plannedLayout(up storage.Upload, c storage.Chunk) layout.Layout {
	if l, ok := s.layoutOf(up); ok {
		return l
	}
	if l, ok := s.cachedLayout(up); ok {
		return l
	}
	if !layout.HintsChunkSize(up, c) {
		return layout.Layout{PartSize: layout.PartSizeForLast(s.opts.partSize, c)}
	}
	return layout.Choose(s.opts.partSize, up.Size, c.Length)
}

// single reports whether the file is created by a single put, as it fits one slot. An
// empty file always is: a multipart upload needs at least one part.
func (s *Store) single(l layout.Layout, up storage.Upload) bool {
	if up.Size == 0 {
		return true
	}
	if s.opts.DeferFile {
		return false
	}
	return l.UploadID == "" && !l.Grows && up.Size != storage.Unknown && up.Size <= l.PartSize
}

// createLayout returns the layout of the upload. If there is none, it stores the proposed
// one, unless another node stores another first.
func (s *Store) createLayout(ctx context.Context, up storage.Upload, proposed layout.Layout) (layout.Layout, error) {
	for {
		l, err := s.createLayoutOnce(up, func() (layout.Layout, error) { return s.writeLayout(ctx, up, proposed) })
		if err != errUndecided { // the result of a concurrent adoptLayout, shared by singleflight
			return l, err
		}
	}
}

var errUndecided = errors.New("no layout has been created")

// adoptLayout returns the layout if this process has created it, or is about to.
func (s *Store) adoptLayout(up storage.Upload) (layout.Layout, bool) {
	l, err := s.createLayoutOnce(up, func() (layout.Layout, error) { return layout.Layout{}, errUndecided })
	return l, err == nil
}

// createLayoutOnce returns the cached layout, or calls create. Concurrent calls for one
// upload share one result.
func (s *Store) createLayoutOnce(up storage.Upload, create func() (layout.Layout, error)) (layout.Layout, error) {
	l, err, _ := s.creatingLayout.Do(up.ID, func() (any, error) {
		if l, ok := s.cachedLayout(up); ok {
			return l, nil
		}
		l, err := create()
		if err == nil {
			s.cacheLayout(up, l)
		}
		return l, err
	})
	return l.(layout.Layout), err
}

// layoutRecord is a layout as it is stored: with the record, so that loading the upload
// takes only one object.
type layoutRecord struct {
	layout.Layout
	Record storage.Record `json:"record"`
}

// writeLayout creates a multipart upload and stores the proposed layout with its id. It
// returns the stored layout, which may be that of another node.
func (s *Store) writeLayout(ctx context.Context, up storage.Upload, proposed layout.Layout) (layout.Layout, error) {
	o, err := s.file(up.Record)
	if err != nil {
		return layout.Layout{}, err
	}
	proposed.UploadID, err = s.client.Begin(ctx, o)
	if err != nil {
		return layout.Layout{}, storage.Unavailable("begin", up.ID, err)
	}
	proposed = withSums(proposed, s.client.Can.Sums)
	text, err := json.Marshal(layoutRecord{proposed, up.Record})
	if err != nil {
		return layout.Layout{}, err
	}
	text, err = s.client.PutIfAbsent(ctx, s.layoutKey(up.Record), text)
	if err != nil {
		// The layout may have been written, so the multipart upload must stay. If no
		// layout refers to it, Clean aborts it.
		return layout.Layout{}, storage.Unavailable("create the layout of", up.ID, err)
	}
	var stored layoutRecord
	if err := json.Unmarshal(text, &stored); err != nil {
		return layout.Layout{}, storage.Unavailable("read the layout of", up.ID, err)
	}
	if stored.UploadID != proposed.UploadID {
		_ = s.client.Abort(ctx, o.Key, proposed.UploadID) // on failure, Clean aborts it
	}
	return stored.Layout, nil
}

// cachedLayout is a stored layout that this process knows.
type cachedLayout struct {
	layout.Layout
	created, at time.Time // when the upload was created, and the layout cached
}

// maxCachedLayouts is the maximum number of cached layouts. Others are in the cache of
// uploads, or in S3.
const maxCachedLayouts = 10_000

func (s *Store) cachedLayout(up storage.Upload) (layout.Layout, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.layouts[up.ID]
	return d.Layout, ok && d.created.Equal(up.Created)
}

func (s *Store) cacheLayout(up storage.Upload, l layout.Layout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.layouts) >= maxCachedLayouts {
		clear(s.layouts)
	}
	s.layouts[up.ID] = cachedLayout{l, up.Created, time.Now()}
}

// dropCached drops the cached state of an upload that has ended, or whose cached state has
// proved wrong.
func (s *Store) dropCached(id string) {
	s.tailCache.drop(id)
	s.absent.take(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.layouts, id)
}

// dropCachedBefore drops cached state that is older than the given time.
func (s *Store) dropCachedBefore(at time.Time) {
	s.tailCache.dropBefore(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.layouts, func(_ string, d cachedLayout) bool { return d.at.Before(at) })
	maps.DeleteFunc(s.files, func(_ string, f fileFound) bool { return f.at.Before(at) })
	s.dropReported()
	maps.DeleteFunc(s.missing, func(_ string, since time.Time) bool { return since.Before(at.Add(-s.opts.lostGrace)) })
}

// layoutOf returns the layout of up: the stored one, or that of a single put for an upload
// that fits one slot. It returns false if up has neither.
func (s *Store) layoutOf(up storage.Upload) (layout.Layout, bool) {
	if p := layout.Stored(up); p.Meta != "" {
		var l layout.Layout
		return l, json.Unmarshal([]byte(p.Meta), &l) == nil
	}
	single := layout.Layout{PartSize: s.opts.partSize}
	return single, s.single(single, up)
}
