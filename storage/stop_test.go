package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// pausingStore is a store that calls functions at the very points of a stop and a finish.
type pausingStore struct {
	storage.Store
	beforeDelete, afterFinish func()
}

func (s pausingStore) Delete(ctx context.Context, id string) error {
	if s.beforeDelete != nil {
		s.beforeDelete()
	}
	return s.Store.Delete(ctx, id)
}

func (s pausingStore) Finish(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	done, err := s.Store.Finish(ctx, up)
	if s.afterFinish != nil {
		s.afterFinish()
	}
	return done, err
}

// reportingLocker is a locker that calls a function before it waits for the lock of a stop.
type reportingLocker struct {
	storage.Locker
	wanted func()
}

func (l reportingLocker) Lock(ctx context.Context, id string, onContended func()) (func(), error) {
	if strings.HasPrefix(id, ".stop.") {
		l.wanted()
	}
	return l.Locker.Lock(ctx, id, onContended)
}

// stopped is two nodes with one cache and one locker. The last byte of an upload comes to the
// second while the first stops it.
type stopped struct {
	*world
	data   []byte
	first  *storage.Uploads
	second *storage.Uploads
	wanted chan struct{} // each time that the second node wants the lock of the stop
	wrote  chan error    // the result of the write to the second node
}

func newStopped(t *testing.T, first, second pausingStore) *stopped {
	w := newSharedWorld(t)
	s := &stopped{world: w, data: storagetest.Content(1, fileSize), wanted: make(chan struct{}, 100), wrote: make(chan error, 1)}
	locker := new(storage.MemoryLocker)
	first.Store, second.Store = w.memory, w.memory.Node()
	cache := w.newCache()
	s.first = storage.New(first, locker, cache, w.opts)
	s.second = storage.New(second, reportingLocker{locker, func() { s.wanted <- struct{}{} }}, cache, w.opts)
	w.create(storage.Record{ID: "it", Size: fileSize})
	w.send("it", s.data, ranges.Of(0, 5000))
	return s
}

// finish sends the rest to the second node.
func (s *stopped) finish() {
	_, err := s.second.Write(s.ctx, "it", storage.Chunk{Offset: 5000, Body: bytes.NewReader(s.data[5000:])})
	s.wrote <- err
}

// wantTruth demands that an acknowledged file is there, that another upload is gone, and that
// the app has the event of that, and not of the other.
func (s *stopped) wantTruth(wrote error) {
	s.Helper()
	var types []storage.EventType
	for _, e := range s.events.all() {
		types = append(types, e.Type)
	}
	if wrote == nil {
		s.wantFile("it", s.data)
	} else if _, err := s.get("it"); !errors.Is(err, storage.ErrGone) || !errors.Is(wrote, storage.ErrGone) {
		s.Errorf("the write: %v; get: %v; want ErrGone", wrote, err)
	}
	if slices.Contains(types, storage.Finished) != (wrote == nil) || slices.Contains(types, storage.Deleted) != (wrote != nil) {
		s.Errorf("the write: %v; the app has %v", wrote, types)
	}
}

func TestAStopDeletesNothingThatAnotherNodeFinishesAtThatMoment(t *testing.T) {
	var s *stopped
	s = newStopped(t, pausingStore{beforeDelete: func() {
		go s.finish()
		select {
		case wrote := <-s.wrote:
			s.wrote <- wrote
		case <-s.wanted: // and does not get it
		}
	}}, pausingStore{})
	if err := s.first.Stop(s.ctx, "it", errors.New("stopped by the app")); err != nil {
		t.Errorf("stop: %v", err)
	}
	s.wantTruth(<-s.wrote)
}

func TestAStopKeepsWhatAnotherNodeHasFinishedButNotYetAnswered(t *testing.T) {
	var s *stopped
	stopped := make(chan error, 1)
	asked := make(chan struct{})
	s = newStopped(t, pausingStore{beforeDelete: func() { t.Error("the stop deletes the upload") }}, pausingStore{afterFinish: func() {
		go func() { stopped <- s.first.Stop(s.ctx, "it", errors.New("stopped by the app")) }()
		close(asked)
	}})
	s.finish()
	<-asked
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	s.wantTruth(<-s.wrote)
}

// joiningStore is a store that joins files by itself, after a function.
type joiningStore struct {
	storagetest.Joiner
	before func()
}

func (s joiningStore) Concat(ctx context.Context, up storage.Upload, files []storage.Upload) (bool, error) {
	s.before()
	return s.Joiner.Concat(ctx, up, files)
}

// A concatenation has no byte before it is finished: a stop waits for its end.
func TestAStopWaitsForAConcatenation(t *testing.T) {
	w := newSharedWorld(t)
	locker := new(storage.MemoryLocker)
	cache, deciding, joined, stopped := w.newCache(), make(chan struct{}), make(chan struct{}), make(chan error, 1)
	first := storage.New(pausingStore{Store: w.memory, beforeDelete: func() { close(deciding); <-joined }}, locker, cache, w.opts)
	second := storage.New(joiningStore{storagetest.Joiner{Memory: w.memory.Node()}, func() {
		go func() { stopped <- first.Stop(w.ctx, "it", errors.New("stopped by the app")) }()
		select {
		case <-deciding:
			t.Error("the stop deletes what is being joined")
		case <-time.After(time.Second / 5): // it waits for the lock, or has not begun
		}
	}}, locker, cache, w.opts)
	parts, whole := w.createParts()
	for i, data := range parts {
		w.resume(fmt.Sprintf("part%d", i), data)
	}
	_, err := second.Concat(w.ctx, "it")
	close(joined)
	if err := errors.Join(err, <-stopped); err != nil {
		t.Error(err)
	}
	w.wantFile("it", whole)
}
