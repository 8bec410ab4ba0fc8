package s3

import (
	"context"
	"encoding/json"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// prospect is the layout that up has, or would get if it were decided now for
// chunks like c; that one has no UploadID yet.
func (s *Store) prospect(up storage.Upload, c storage.Chunk) layout {
	if l, ok := s.layoutOf(up); ok {
		return l
	}
	if l, ok := s.remembered(up.ID); ok {
		return l
	}
	if !teaches(up, c) {
		return layout{Cell: s.opts.cell}
	}
	return choose(s.opts.cell, up.Size, c.Length)
}

// single tells whether a cell of this layout is the whole file, put as an object.
func (l layout) single(up storage.Upload) bool {
	return l.UploadID == "" && !l.Grows && up.Size != storage.Unknown && up.Size <= l.Cell
}

// decide returns the layout of the upload, and makes it if there is none: the one
// wished for, unless another node has decided before.
func (s *Store) decide(ctx context.Context, up storage.Upload, wish layout) (layout, error) {
	l, err, _ := s.deciding.Do(up.ID, func() (any, error) {
		if l, ok := s.remembered(up.ID); ok {
			return l, nil
		}
		l, err := s.decideOnce(ctx, up, wish)
		if err == nil {
			s.remember(up.ID, l)
		}
		return l, err
	})
	if err != nil {
		return layout{}, err
	}
	return l.(layout), nil
}

func (s *Store) decideOnce(ctx context.Context, up storage.Upload, wish layout) (layout, error) {
	o, err := s.file(up.Record)
	if err != nil {
		return layout{}, err
	}
	wish.UploadID, err = s.client.begin(ctx, o)
	if err != nil {
		return layout{}, storage.Unavailable("begin", up.ID, err)
	}
	text, err := json.Marshal(wish)
	if err != nil {
		return layout{}, err
	}
	there, err := s.client.putOnce(ctx, s.liveKey(up.ID, "layout"), text)
	if err != nil {
		// Whether it was written nobody knows, so the multipart upload must stay. If
		// nothing ever speaks of it, Clean removes it.
		return layout{}, storage.Unavailable("decide the layout of", up.ID, err)
	}
	var decided layout
	if err := json.Unmarshal(there, &decided); err != nil {
		return layout{}, storage.Unavailable("read the layout of", up.ID, err)
	}
	if decided.UploadID != wish.UploadID {
		_ = s.client.abort(ctx, o.key, wish.UploadID) // or else Clean does
	}
	return decided, nil
}

func (s *Store) loadLayout(ctx context.Context, id string) (l layout, err error) {
	text, err := s.client.get(ctx, s.liveKey(id, "layout"))
	if err != nil {
		return layout{}, err
	}
	return l, storage.Unavailable("read the layout of", id, json.Unmarshal(text, &l))
}

func (s *Store) remembered(id string) (layout, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.layouts[id]
	return d.layout, ok
}

func (s *Store) remember(id string, l layout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.layouts[id] = decided{l, time.Now()}
}

// forget lets go of what this process remembers of an upload that is over.
func (s *Store) forget(id string) {
	s.tails.drop(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.layouts, id)
}
