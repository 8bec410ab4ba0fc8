package s3

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// prospect is the layout that up has, or would get if it were decided now for
// chunks like c; that one has no UploadID yet.
func (s *Store) plannedLayout(up storage.Upload, c storage.Chunk) layout {
	if l, ok := s.layoutOf(up); ok {
		return l
	}
	if l, ok := s.cachedLayout(up); ok {
		return l
	}
	if !hintsChunkSize(up, c) {
		return layout{PartSize: lastCell(s.opts.partSize, c)}
	}
	return choose(s.opts.partSize, up.Size, c.Length)
}

// single tells whether a cell of this layout is the whole file, put as an object. An
// empty one always is: there is no multipart upload without parts.
func (s *Store) single(l layout, up storage.Upload) bool {
	if up.Size == 0 {
		return true
	}
	if s.opts.DeferFile {
		return false
	}
	return l.UploadID == "" && !l.Grows && up.Size != storage.Unknown && up.Size <= l.PartSize
}

// decide returns the layout of the upload, and makes it if there is none: the one
// wished for, unless another node has decided before.
func (s *Store) createLayout(ctx context.Context, up storage.Upload, proposed layout) (layout, error) {
	for {
		l, err := s.createLayoutOnce(up, func() (layout, error) { return s.writeLayout(ctx, up, proposed) })
		if err != errUndecided { // what another call of learn has met
			return l, err
		}
	}
}

var errUndecided = errors.New("the layout is undecided")

// learn returns the layout if this process has decided it, or is about to.
func (s *Store) adoptLayout(up storage.Upload) (layout, bool) {
	l, err := s.createLayoutOnce(up, func() (layout, error) { return layout{}, errUndecided })
	return l, err == nil
}

// decideHere lets one call at a time decide; all that come meanwhile share what it
// finds.
func (s *Store) createLayoutOnce(up storage.Upload, how func() (layout, error)) (layout, error) {
	l, err, _ := s.creatingLayout.Do(up.ID, func() (any, error) {
		if l, ok := s.cachedLayout(up); ok {
			return l, nil
		}
		l, err := how()
		if err == nil {
			s.cacheLayout(up, l)
		}
		return l, err
	})
	return l.(layout), err
}

// decision is a layout as it is written down: with the record, so that whoever
// loads the upload needs to read no other object.
type layoutRecord struct {
	layout
	Record storage.Record `json:"record"`
}

func (s *Store) writeLayout(ctx context.Context, up storage.Upload, proposed layout) (layout, error) {
	o, err := s.file(up.Record)
	if err != nil {
		return layout{}, err
	}
	proposed.UploadID, err = s.client.begin(ctx, o)
	if err != nil {
		return layout{}, storage.Unavailable("begin", up.ID, err)
	}
	proposed.Summed = s.client.checksums
	text, err := json.Marshal(layoutRecord{proposed, up.Record})
	if err != nil {
		return layout{}, err
	}
	there, err := s.client.putIfAbsent(ctx, s.layoutKey(up.Record), text)
	if err != nil {
		// Whether it was written nobody knows, so the multipart upload must stay. If
		// nothing ever speaks of it, Clean removes it.
		return layout{}, storage.Unavailable("decide the layout of", up.ID, err)
	}
	var decided layoutRecord
	if err := json.Unmarshal(there, &decided); err != nil {
		return layout{}, storage.Unavailable("read the layout of", up.ID, err)
	}
	if decided.UploadID != proposed.UploadID {
		_ = s.client.abort(ctx, o.key, proposed.UploadID) // or else Clean does
	}
	return decided.layout, nil
}

// decided is a layout that this process has seen decided.
type cachedLayout struct {
	layout
	created, at time.Time // the upload, the layout
}

// maxRemembered is how many layouts a process remembers. One that is forgotten is
// in the index, or in S3.
const maxCachedLayouts = 10_000

func (s *Store) cachedLayout(up storage.Upload) (layout, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.layouts[up.ID]
	return d.layout, ok && d.created.Equal(up.Created)
}

func (s *Store) cacheLayout(up storage.Upload, l layout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.layouts) >= maxCachedLayouts {
		clear(s.layouts)
	}
	s.layouts[up.ID] = cachedLayout{l, up.Created, time.Now()}
}

// forget lets go of what this process remembers of an upload that is over, or not
// as it was thought to be.
func (s *Store) dropCached(id string) {
	s.tailCache.drop(id)
	s.absent.take(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.layouts, id)
}

// forgetBefore lets go of what this process remembers of uploads that nobody has
// added to since.
func (s *Store) dropCachedBefore(at time.Time) {
	s.tailCache.dropBefore(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.layouts, func(_ string, d cachedLayout) bool { return d.at.Before(at) })
	maps.DeleteFunc(s.files, func(_ string, f fileSeen) bool { return f.at.Before(at) })
	maps.DeleteFunc(s.missing, func(_ string, since time.Time) bool { return since.Before(at.Add(-s.opts.lostGrace)) })
}
