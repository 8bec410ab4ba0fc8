package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// The known failures that can be tested with the core alone.

// rescuers are the requests that must complete a failed finish.
var rescuers = map[string]func(w *world, data []byte) error{
	"a status query": func(w *world, _ []byte) error { _, err := w.core().Get(w.ctx, "it"); return err },
	"the last chunk again": func(w *world, data []byte) error {
		_, err := w.core().Write(w.ctx, "it", storage.Chunk{Offset: fileSize / 2, Body: bytes.NewReader(data[fileSize/2:])})
		return err
	},
	"an empty write": func(w *world, _ []byte) error {
		_, err := w.core().Write(w.ctx, "it", storage.Chunk{Offset: fileSize, Body: strings.NewReader("")})
		return err
	},
	"the size again":    func(w *world, _ []byte) error { _, err := w.core().SetSize(w.ctx, "it", fileSize); return err },
	"the sweeper":       func(w *world, _ []byte) error { return w.core().Sweep(w.ctx) },
	"the sweeper twice": func(w *world, _ []byte) error { return errors.Join(w.core().Sweep(w.ctx), w.core().Sweep(w.ctx)) },
}

func TestF05AFailedFinishIsRetriedByTheNextRequest(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	for _, outcome := range []storagetest.Outcome{storagetest.Fails, storagetest.FailsButPersists} {
		for name, rescue := range rescuers {
			for _, forgets := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v, %s, cache lost %v", outcome, name, forgets), func(t *testing.T) {
					cache := newUnreliableCache(1, 0, 0)
					w := newWorldWith(t, storage.Options{}, func() storage.Cache { return cache })
					w.create(storage.Record{ID: "it", Size: fileSize})
					w.memory.Inject(failFirst(storagetest.Finish, outcome))
					if up, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: bytes.NewReader(data)}); !storage.Transient(err) || up.Finished {
						t.Fatalf("write whose finish fails: %v, finished %v", err, up.Finished)
					}
					w.wantEvents("it", storage.Created)
					if forgets {
						cache.heal()
					}
					if err := rescue(w, data); err != nil {
						t.Errorf("rescue: %v", err)
					}
					w.wantEvents("it", storage.Created, storage.Finished)
					w.wantFile("it", data)
					w.wantEvents("it", storage.Created, storage.Finished)
				})
			}
		}
	}
}

// The finish succeeds, and the store becomes unavailable right after it.
func TestF05StoreFailsRightAfterTheFinish(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	for name, rescue := range rescuers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storage.Options{})
			w.create(storage.Record{ID: "it", Size: fileSize})
			finished := false
			w.memory.Inject(func(op storagetest.Op) storagetest.Outcome {
				if finished {
					return storagetest.Fails
				}
				finished = op == storagetest.Finish
				return storagetest.Works
			})
			if up, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: bytes.NewReader(data)}); err != nil || !up.Finished {
				t.Errorf("write: finished %v, %v", up.Finished, err)
			}
			if _, err := w.uploads.Get(w.ctx, "it"); !storage.Transient(err) {
				t.Errorf("get while the store is unavailable: %v, want a transient error", err)
			}
			w.memory.Inject(nil)
			if err := rescue(w, data); err != nil {
				t.Errorf("rescue: %v", err)
			}
			w.wantEvents("it", storage.Created, storage.Finished)
			w.wantFile("it", data)
		})
	}
}

// After a crash, the next process publishes a finish that the store has not recorded as
// delivered: at most twice, with the same id.
func TestF05AnUnpublishedFinishIsPublishedAfterACrash(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	for name, rescue := range rescuers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storage.Options{})
			w.create(storage.Record{ID: "it", Size: fileSize})
			up, err := w.memory.Load(w.ctx, "it")
			if err == nil {
				all := storage.Chunk{Length: fileSize, Body: bytes.NewReader(data)}
				err = w.memory.Write(w.ctx, up, all, func(storage.Extent) storage.Upload { return up })
			}
			if err == nil {
				up.Received = ranges.NewSet(ranges.Of(0, fileSize))
				_, err = w.memory.Finish(w.ctx, up) // and then the process is killed
			}
			if err != nil {
				t.Fatal(err)
			}
			w.restart()
			if err := rescue(w, data); err != nil {
				t.Errorf("rescue: %v", err)
			}
			w.wantEvents("it", storage.Created, storage.Finished)
			w.wantFile("it", data)
			if now, err := w.memory.Load(w.ctx, "it"); err != nil || now.DeliveryPending {
				t.Errorf("still pending: %v, %v", now.DeliveryPending, err)
			}
		})
	}
}

// While the store can't record the delivery, the same process does not publish the event
// again, and sweeps keep trying to record it.
func TestF05AFinishIsPublishedOnceWhileMarkDeliveredFails(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	w.memory.Inject(func(op storagetest.Op) storagetest.Outcome {
		if op == storagetest.MarkDelivered {
			return storagetest.Fails
		}
		return storagetest.Works
	})
	w.create(storage.Record{ID: "it", Size: fileSize})
	w.resume("it", data)
	for name, rescue := range rescuers {
		if err := rescue(w, data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.memory.Inject(nil)
	if up, err := w.memory.Load(w.ctx, "it"); err != nil || !up.DeliveryPending {
		t.Errorf("while MarkDelivered fails: pending %v, %v", up.DeliveryPending, err)
	}
	w.sweep()
	if up, err := w.memory.Load(w.ctx, "it"); err != nil || up.DeliveryPending {
		t.Errorf("after a sweep in which MarkDelivered works: pending %v, %v", up.DeliveryPending, err)
	}
	w.wantEvents("it", storage.Created, storage.Finished)
}

// A cache that has more ranges than the store must not finish an upload.
func TestF05RangesThatOnlyTheCacheHasDoNotFinishAnUpload(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	cache := new(storage.MemoryCache)
	w := newWorldWith(t, storage.Options{}, func() storage.Cache { return cache })
	w.create(storage.Record{ID: "it", Size: fileSize})
	w.send("it", data, ranges.Of(0, 5000))
	if _, err := cache.Append(w.ctx, "it", storage.Extent{Range: ranges.Of(0, fileSize)}); err != nil {
		t.Fatalf("add: %v", err)
	}
	if up, err := w.uploads.Get(w.ctx, "it"); !storage.Transient(err) || up.Finished {
		t.Errorf("get: %v, finished %v; want a transient error", err, up.Finished)
	}
	if up, err := w.uploads.Get(w.ctx, "it"); err != nil || up.Offset() != 5000 {
		t.Errorf("get again: %v, offset %d; want what the store has", err, up.Offset())
	}
	w.wantEvents("it", storage.Created)
	w.resume("it", data)
	w.wantFile("it", data)
}

// The next process finishes what a crashed one could not.
func TestF05AnUploadThatACrashLeftCompleteIsFinished(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	for name, rescue := range rescuers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storage.Options{})
			w.create(storage.Record{ID: "it", Size: fileSize})
			w.memory.Inject(failFirst(storagetest.Finish, storagetest.Fails))
			_, _ = w.uploads.Write(w.ctx, "it", storage.Chunk{Body: bytes.NewReader(data)})
			w.restart()
			if err := rescue(w, data); err != nil {
				t.Errorf("rescue: %v", err)
			}
			w.wantEvents("it", storage.Created, storage.Finished)
			w.wantFile("it", data)
		})
	}
}

// Two nodes that finish the same upload make one file. Each may publish the event, with
// the same id.
func TestF05TwoNodesFinishAtOnce(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	for range 20 {
		w := newSharedWorld(t)
		other := w.node(w.memory.Node())
		w.create(storage.Record{ID: "it", Size: fileSize})
		var wg sync.WaitGroup
		for i, u := range []*storage.Uploads{w.uploads, other} {
			wg.Go(func() {
				if _, err := u.Write(w.ctx, "it", storage.Chunk{Offset: int64(i) * 5000, Body: bytes.NewReader(data[i*5000:])}); err != nil {
					t.Errorf("write: %v", err)
				}
				if up, err := u.Get(w.ctx, "it"); err != nil || i == 0 && !up.Finished {
					t.Errorf("get: %v, finished %v", err, up.Finished)
				}
			})
		}
		wg.Wait()
		w.wantFile("it", data)
		ids := map[string]bool{}
		for _, e := range w.events.all() {
			ids[e.ID] = true
		}
		if len(ids) != 2 {
			t.Errorf("the published events are %v, want one creation and one finish", ids)
		}
	}
}

func TestF07UnknownLengthKeepsItsShortLastExtent(t *testing.T) {
	for _, size := range []int64{1, piece - 1, piece, piece + 1, fileSize} {
		for _, declareFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d bytes, declared before the last piece %v", size, declareFirst), func(t *testing.T) {
				data := storagetest.Content(1, size)
				w := newWorld(t, storage.Options{})
				w.create(storage.Record{ID: "it", Size: storage.Unknown})
				last := ranges.Range{Start: size - size/4, End: size}
				w.send("it", data, ranges.Range{End: last.Start})
				if declareFirst {
					w.declare("it", size)
				}
				w.send("it", data, last)
				w.declare("it", size)
				w.wantFile("it", data)
				w.wantEvents("it", storage.Created, storage.Finished)
			})
		}
	}
}

// A zombie write continues, with different bytes, after another node has resumed and
// finished the upload.
func TestF08ALateWriteOfAStalledNodeChangesNothing(t *testing.T) {
	data, other := storagetest.Content(1, fileSize), storagetest.Content(2, fileSize)
	w := newSharedWorld(t)
	w.create(storage.Record{ID: "it", Size: fileSize})
	src := storagetest.NewGate(bytes.NewReader(data[:4000]), bytes.NewReader(other[4000:]))
	done := make(chan error, 1)
	go func() {
		_, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: src})
		done <- err
	}()
	<-src.Reached
	if _, err := w.node(w.memory.Node()).Write(w.ctx, "it", storage.Chunk{Offset: 3000, Body: bytes.NewReader(data[3000:])}); err != nil {
		t.Errorf("continue on another node: %v", err)
	}
	src.Open()
	if err := <-done; err != nil {
		t.Errorf("the late write: %v", err)
	}
	w.wantFile("it", data)
}

// Reading state needs no lock (these tests have no locker), does not wait for writers and
// does not disturb them.
func TestF11ReadingStateNeverDisturbsAWriter(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize})
	src := storagetest.NewGate(bytes.NewReader(data[:5*piece]), bytes.NewReader(data[5*piece:]))
	done := make(chan error, 1)
	go func() {
		_, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: src})
		done <- err
	}()
	<-src.Reached
	if up, err := w.get("it"); err != nil || up.Offset() != 5*piece || up.Finished {
		t.Errorf("in the middle of a write: %v, offset %d, finished %v; want %d", err, up.Offset(), up.Finished, 5*piece)
	}
	if err := w.uploads.Sweep(w.ctx); err != nil {
		t.Errorf("sweep in the middle of a write: %v", err)
	}
	src.Open()
	if err := <-done; err != nil {
		t.Errorf("write: %v", err)
	}
	w.wantFile("it", data)
}

func TestF12CreatingAnExistingIDFails(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize, Metadata: map[string]string{"is": "first"}})
	again := func() {
		t.Helper()
		up, err := w.uploads.Create(w.ctx, storage.Record{ID: "it", Size: 0})
		if !errors.Is(err, storage.ErrExists) || storage.Transient(err) {
			t.Errorf("second creation: %v, returned %+v; want ErrExists", err, up)
		}
		if up, err := w.get("it"); err != nil || up.Size != fileSize || up.Metadata["is"] != "first" {
			t.Errorf("the first is now %+v, %v", up, err)
		}
	}
	again()
	w.send("it", data, ranges.Of(0, 5000))
	again()
	w.send("it", data, ranges.Range{Start: 5000, End: fileSize})
	again()
	w.wantFile("it", data)
	w.wantEvents("it", storage.Created, storage.Finished)
}

func TestF13AnEmptyFileExistsAndIsPublishedOnce(t *testing.T) {
	for name, make := range map[string]func(w *world){
		"created empty": func(w *world) { w.create(storage.Record{ID: "it", Size: 0}) },
		"created empty, with an empty body": func(w *world) {
			w.create(storage.Record{ID: "it", Size: 0})
			w.send("it", nil, ranges.Range{})
		},
		"declared empty": func(w *world) {
			w.create(storage.Record{ID: "it", Size: storage.Unknown})
			w.send("it", nil, ranges.Range{})
			w.declare("it", 0)
		},
		"created while the finish failed": func(w *world) {
			w.memory.Inject(failFirst(storagetest.Finish, storagetest.Fails))
			up, err := w.uploads.Create(w.ctx, storage.Record{ID: "it", Size: 0})
			if !storage.Transient(err) || up.ID != "it" {
				w.Errorf("create: %v, %+v", err, up)
			}
		},
		"created while the finish lost its answer": func(w *world) {
			w.memory.Inject(failFirst(storagetest.Finish, storagetest.FailsButPersists))
			_, _ = w.uploads.Create(w.ctx, storage.Record{ID: "it", Size: 0})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storage.Options{})
			make(w)
			w.wantFile("it", nil)
			w.wantFile("it", nil)
			w.wantEvents("it", storage.Created, storage.Finished)
		})
	}
}

func TestF14ARepeatedChunkGetsTheSameResponse(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize})
	for _, r := range chunks {
		write := func() (storage.Upload, error) {
			return w.uploads.Write(w.ctx, "it", storage.Chunk{Offset: r.Start, Body: bytes.NewReader(data[r.Start:r.End])})
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { w.wantResponse(r)(write()) })
		}
		wg.Wait()
		w.wantResponse(r)(write())
	}
	for _, r := range chunks {
		up, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Offset: r.Start, Body: bytes.NewReader(data[r.Start:r.End])})
		if err != nil || !up.Finished {
			t.Errorf("chunk %v of a finished upload: %v, finished %v", r, err, up.Finished)
		}
	}
	w.wantFile("it", data)
	w.wantEvents("it", storage.Created, storage.Finished)
}

// wantResponse checks the response to a chunk that is sent in order.
func (w *world) wantResponse(r ranges.Range) func(storage.Upload, error) {
	return func(up storage.Upload, err error) {
		w.Helper()
		if err != nil || up.Offset() != r.End || up.Finished != (r.End == fileSize) {
			w.Errorf("chunk %v: %v, offset %d, finished %v", r, err, up.Offset(), up.Finished)
		}
	}
}

func TestF15BytesBeyondTheUploadAreDropped(t *testing.T) {
	data := storagetest.Content(1, fileSize+5)
	for _, c := range []struct {
		name     string
		size     int64 // at creation
		maxSize  int64
		from     int64
		finished bool
		want     error
	}{
		{"of known size", fileSize, 0, 0, true, storage.ErrOutOfRange},
		{"of known size, in its middle", fileSize, 0, 700, false, storage.ErrOutOfRange},
		{"of known size, at its end", fileSize, 0, fileSize, false, storage.ErrOutOfRange},
		{"of unknown size", storage.Unknown, fileSize, 0, false, storage.ErrTooLarge},
		{"of unknown size, at the limit", storage.Unknown, fileSize, fileSize, false, storage.ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, storage.Options{MaxSize: c.maxSize})
			w.create(storage.Record{ID: "it", Size: c.size})
			up, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Offset: c.from, Body: bytes.NewReader(data[c.from:])})
			if !errors.Is(err, c.want) || up.Finished != c.finished {
				t.Errorf("write: %v, finished %v; want %v, %v", err, up.Finished, c.want, c.finished)
			}
			if !up.Has(ranges.Range{Start: c.from, End: fileSize}) {
				t.Errorf("received %v, want all from %d to %d", up.Received, c.from, fileSize)
			}
			w.send("it", data, ranges.Range{End: c.from})
			w.declare("it", fileSize)
			w.wantFile("it", data[:fileSize])
		})
	}
}

func TestF15AnAbortedBodyIsKeptAndResumed(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize})
	for offset := int64(0); offset < fileSize; {
		n := min(1234, fileSize-offset)
		up, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Offset: offset, Body: aborted(data[offset : offset+n])})
		if !errors.Is(err, storage.ErrBodyAborted) || !errors.Is(err, io.ErrUnexpectedEOF) || storage.Transient(err) {
			t.Errorf("write of an aborted body: %v, want ErrBodyAborted with its cause", err)
		}
		if up.Offset() != offset+n {
			t.Fatalf("%d bytes were sent at offset %d, which is now %d", n, offset, up.Offset())
		}
		offset = up.Offset()
	}
	w.wantFile("it", data)
	w.wantEvents("it", storage.Created, storage.Finished)
}
