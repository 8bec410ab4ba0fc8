package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

var partSizes = []int64{3333, 0, 1, 4000, 777}

// createParts creates an upload for each part, and "it", which concatenates them all, the
// fourth one twice. It returns their contents.
func (w *world) createParts() (parts [][]byte, whole []byte) {
	var ids []string
	for i, size := range partSizes {
		id := fmt.Sprintf("part%d", i)
		ids = append(ids, id)
		parts = append(parts, storagetest.Content(uint64(i), size))
		w.create(storage.Record{ID: id, Size: size, Partial: true})
	}
	whole = append(slices.Concat(parts...), parts[3]...)
	w.create(storage.Record{ID: "it", Size: int64(len(whole)), Parts: append(ids, "part3")})
	return parts, whole
}

func TestConcatJoinsTheFilesOfItsParts(t *testing.T) {
	w := newWorld(t, storage.Options{})
	parts, whole := w.createParts()
	for i, data := range slices.Backward(parts) {
		if _, err := w.uploads.Concat(w.ctx, "it"); !errors.Is(err, storage.ErrIncomplete) || storage.Transient(err) {
			t.Errorf("concatenate while part %d is missing: %v, want ErrIncomplete", i, err)
		}
		w.wantEvents("it", storage.Created)
		w.resume(fmt.Sprintf("part%d", i), data)
	}
	if up, err := w.uploads.Concat(w.ctx, "it"); err != nil || !up.Finished {
		t.Errorf("concatenate: %v, finished %v", err, up.Finished)
	}
	w.concat("it")
	w.wantFile("it", whole)
	w.wantEvents("it", storage.Created, storage.Finished)
	for i, data := range parts {
		w.wantFile(fmt.Sprintf("part%d", i), data)
	}
	w.delete("part0")
	w.wantFile("it", whole)
}

// An interrupted concatenation is continued by the next request of any kind.
func TestConcatIsDrivenAgain(t *testing.T) {
	for name, rescue := range map[string]func(w *world) error{
		"concat":         func(w *world) error { _, err := w.core().Concat(w.ctx, "it"); return err },
		"a status query": func(w *world) error { _, err := w.core().Get(w.ctx, "it"); return err },
		"the sweeper":    func(w *world) error { return w.core().Sweep(w.ctx) },
	} {
		for _, crash := range []bool{false, true} {
			for k := range 14 {
				t.Run(fmt.Sprintf("%s, write %d failed, crash %v", name, k, crash), func(t *testing.T) {
					w := newWorld(t, storage.Options{})
					parts, whole := w.createParts()
					for i, data := range parts {
						w.resume(fmt.Sprintf("part%d", i), data)
					}
					count := fault{k: k, n: 1, outcome: storagetest.Fails}.inject(w)
					if _, err := w.uploads.Concat(w.ctx, "it"); *count > k && !storage.Transient(err) {
						t.Errorf("concatenate: %v, want a transient error", err)
					}
					if crash {
						w.restart()
					}
					if err := rescue(w); err != nil {
						t.Errorf("rescue: %v", err)
					}
					w.wantFile("it", whole)
					w.wantEvents("it", storage.Created, storage.Finished)
				})
			}
		}
	}
}

func TestConcatOfAPartThatIsGoneFails(t *testing.T) {
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "part", Size: 10, Partial: true})
	w.resume("part", storagetest.Content(1, 10))
	w.create(storage.Record{ID: "it", Size: 20, Parts: []string{"part", "other"}})
	if _, err := w.uploads.Concat(w.ctx, "it"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a part that never was: %v, want ErrNotFound", err)
	}
	w.create(storage.Record{ID: "other", Size: 10, Partial: true})
	w.delete("other")
	if _, err := w.uploads.Concat(w.ctx, "it"); !errors.Is(err, storage.ErrGone) {
		t.Errorf("a part that was deleted: %v, want ErrGone", err)
	}
	if up, err := w.memory.Load(w.ctx, "it"); err != nil || up.Finished {
		t.Errorf("load: %v, finished %v", err, up.Finished)
	}
	w.create(storage.Record{ID: "bad", Size: 20, Parts: []string{"../../etc/passwd"}})
	if _, err := w.uploads.Concat(w.ctx, "bad"); !errors.Is(err, storage.ErrBadID) {
		t.Errorf("a part whose id is none: %v, want ErrBadID", err)
	}
}

func TestConcatLoadsEachPartOnce(t *testing.T) {
	data := storagetest.Content(1, 10)
	w := newWorld(t, storage.Options{})
	w.uploads = w.node(storagetest.Joiner{Memory: w.memory})
	w.create(storage.Record{ID: "part", Size: 10, Partial: true})
	w.resume("part", data)
	w.create(storage.Record{ID: "it", Size: 10 * storage.MaxRepeats, Parts: slices.Repeat([]string{"part"}, storage.MaxRepeats)})
	loads := 0
	w.memory.Inject(func(op storagetest.Op) storagetest.Outcome {
		if op == storagetest.Load {
			loads++
		}
		return storagetest.Works
	})
	w.concat("it")
	if loads > 4 {
		t.Errorf("one part was loaded %d times", loads)
	}
	w.wantFile("it", bytes.Repeat(data, storage.MaxRepeats))
}

func TestConcatLimitsTheNumberOfParts(t *testing.T) {
	w := newWorld(t, storage.Options{})
	var parts []string
	for i := range storage.MaxParts + 1 {
		parts = append(parts, fmt.Sprint("part", i))
	}
	w.create(storage.Record{ID: "most", Size: 10, Parts: parts[:storage.MaxParts]})
	_, err := w.uploads.Create(w.ctx, storage.Record{ID: "more", Size: 10, Parts: parts})
	if !errors.Is(err, storage.ErrBadRequest) {
		t.Errorf("one part more: %v, want ErrBadRequest", err)
	}
}

func TestConcatOfPartsThatDoNotAddUpFails(t *testing.T) {
	data := storagetest.Content(1, 10)
	for _, size := range []int64{0, 1, 9, 15, 19, 21, 100, storage.Unknown} {
		w := newWorld(t, storage.Options{})
		w.create(storage.Record{ID: "part", Size: 10, Partial: true})
		w.resume("part", data)
		w.create(storage.Record{ID: "it", Size: size, Parts: []string{"part", "part"}})
		if _, err := w.uploads.Concat(w.ctx, "it"); size > 0 && !errors.Is(err, storage.ErrSizeMismatch) {
			t.Errorf("20 bytes into one of %d: %v, want ErrSizeMismatch", size, err)
		}
		if up, err := w.memory.Load(w.ctx, "it"); err != nil || up.Received.End() > max(size, 0) || size != 0 && up.Finished {
			t.Errorf("20 bytes into one of %d: %v, received %v, finished %v", size, err, up.Received, up.Finished)
		}
	}
}

// A part whose finish failed is finished when it is concatenated.
func TestConcatFinishesItsParts(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "part", Size: fileSize, Partial: true})
	w.memory.Inject(failFirst(storagetest.Finish, storagetest.Fails))
	if _, err := w.uploads.Write(w.ctx, "part", storage.Chunk{Body: bytes.NewReader(data)}); !storage.Transient(err) {
		t.Errorf("write: %v, want a transient error", err)
	}
	w.create(storage.Record{ID: "it", Size: fileSize, Parts: []string{"part"}})
	w.concat("it")
	w.wantFile("it", data)
	w.wantEvents("part", storage.Created, storage.Finished)
}

func TestConcatDoesNotTrustACacheThatMissedAFinish(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	cache := new(staleCache)
	w := newWorldWith(t, storage.Options{}, func() storage.Cache { return cache })
	w.create(storage.Record{ID: "part", Size: fileSize, Partial: true})
	w.create(storage.Record{ID: "it", Size: fileSize, Parts: []string{"part"}})
	cache.stale = true
	w.resume("part", data)
	w.concat("it")
	w.wantFile("it", data)
}

func TestConcatOfEmptyPartsWaitsForThem(t *testing.T) {
	w := newWorld(t, storage.Options{})
	up, err := w.uploads.Create(w.ctx, storage.Record{ID: "it", Size: 0, Parts: []string{"part"}})
	if err != nil || up.Finished {
		t.Errorf("create: %v, finished %v", err, up.Finished)
	}
	w.create(storage.Record{ID: "part", Size: 0, Partial: true})
	w.concat("it")
	w.wantFile("it", nil)
}

func TestConcatWithoutPartsIsAStatusQuery(t *testing.T) {
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: 10})
	w.send("it", storagetest.Content(1, 10), ranges.Of(0, 5))
	if up, err := w.uploads.Concat(w.ctx, "it"); err != nil || up.Finished || up.Offset() != 5 {
		t.Errorf("concat: %v, finished %v, offset %d", err, up.Finished, up.Offset())
	}
}

// No byte is copied for a store that can concatenate files.
func TestConcatUsesTheStoresConcat(t *testing.T) {
	for _, outcome := range []storagetest.Outcome{storagetest.Works, storagetest.Fails, storagetest.FailsButPersists} {
		t.Run(outcome.String(), func(t *testing.T) {
			w := newWorld(t, storage.Options{})
			parts, whole := w.createParts()
			for i, data := range parts {
				w.resume(fmt.Sprintf("part%d", i), data)
			}
			w.uploads = w.node(storagetest.Joiner{Memory: w.memory})
			fails := failFirst(storagetest.Finish, outcome)
			w.memory.Inject(func(op storagetest.Op) storagetest.Outcome {
				if op == storagetest.Write {
					t.Error("bytes were written")
				}
				return fails(op)
			})
			if _, err := w.uploads.Concat(w.ctx, "it"); storage.Transient(err) != (outcome != storagetest.Works) {
				t.Errorf("concatenate: %v", err)
			}
			w.concat("it")
			w.wantFile("it", whole)
			w.wantEvents("it", storage.Created, storage.Finished)
		})
	}
}

// unable is a Concater that declines every concatenation.
type unable struct{ *storagetest.Memory }

func (unable) Concat(context.Context, storage.Upload, []storage.Upload) (bool, error) {
	return false, nil
}

func TestConcatCopiesWhatTheStoreCannotConcatenate(t *testing.T) {
	w := newWorld(t, storage.Options{})
	parts, whole := w.createParts()
	w.uploads = w.node(unable{w.memory})
	for i, data := range parts {
		w.resume(fmt.Sprintf("part%d", i), data)
	}
	w.concat("it")
	w.wantFile("it", whole)
	w.wantEvents("it", storage.Created, storage.Finished)
}
