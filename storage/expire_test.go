package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

const day = 24 * time.Hour

// expiring runs a test with a clock that only time.Sleep moves, over uploads
// that expire a day after their last byte.
func expiring(t *testing.T, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) { test(newWorld(t, storage.Options{ExpireAfter: day})) })
}

func (w *world) sweep() {
	w.Helper()
	if err := w.core().Sweep(w.ctx); err != nil {
		w.Errorf("sweep: %v", err)
	}
}

// wantExpires checks how long from now the upload expires; 0 is never.
func (w *world) wantExpires(id string, in time.Duration) {
	w.Helper()
	up, err := w.get(id)
	if err != nil {
		w.Errorf("get: %v", err)
		return
	}
	at := w.core().Expires(up)
	if in == 0 && !at.IsZero() || in != 0 && !at.Equal(time.Now().Add(in)) {
		w.Errorf("%s expires at %v, want in %v", id, at, in)
	}
}

func TestF16WritingExtendsTheExpiry(t *testing.T) {
	expiring(t, func(w *world) {
		data := storagetest.Content(1, fileSize)
		w.create(storage.Record{ID: "it", Size: fileSize})
		w.wantExpires("it", day)
		for i := range int64(5) {
			time.Sleep(day - time.Second)
			w.sweep()
			w.wantExpires("it", time.Second) // reading does not extend the expiry
			w.send("it", data, ranges.Of(i*100, 100))
			w.wantExpires("it", day)
		}
		time.Sleep(day)
		w.sweep()
		w.send("it", data, ranges.Of(1000, 1)) // in the last moment
		w.wantExpires("it", day)
	})
}

func TestF16ExpiredUploadIsRemovedWithAllItsData(t *testing.T) {
	expiring(t, func(w *world) {
		data := storagetest.Content(1, fileSize)
		w.create(storage.Record{ID: "it", Size: fileSize})
		w.create(storage.Record{ID: "untouched", Size: storage.Unknown})
		time.Sleep(time.Hour)
		w.send("it", data, ranges.Of(0, 5000))
		time.Sleep(day + 1)

		if up, err := w.memory.Load(w.ctx, "it"); err != nil || up.Offset() != 5000 {
			w.Errorf("before the sweep: %v, %v", up, err)
		}
		w.wantAllGone("it") // although the store still has it
		w.sweep()
		w.wantAllGone("it")
		w.wantGone("it")
		w.wantGone("untouched")
		w.sweep()
		w.wantEvents("it", storage.Created, storage.Expired)
		w.wantEvents("untouched", storage.Created, storage.Expired)
		for id := range w.memory.List(w.ctx) {
			w.Errorf("%s is still listed", id)
		}

		time.Sleep(day - time.Hour)
		w.sweep()
		w.wantGone("it")
		time.Sleep(2 * time.Hour) // the tombstone expires
		w.sweep()
		if _, err := w.get("it"); !errors.Is(err, storage.ErrNotFound) {
			w.Errorf("get long after: %v, want ErrNotFound", err)
		}
	})
}

// wantAllGone checks that every call for an upload returns ErrGone.
func (w *world) wantAllGone(id string) {
	w.Helper()
	_, get := w.uploads.Get(w.ctx, id)
	_, write := w.uploads.Write(w.ctx, id, storage.Chunk{Body: strings.NewReader("x")})
	_, declare := w.uploads.SetSize(w.ctx, id, fileSize)
	_, concat := w.uploads.Concat(w.ctx, id)
	remove := w.uploads.Delete(w.ctx, id)
	for what, err := range map[string]error{"get": get, "write": write, "declare": declare, "concat": concat, "delete": remove} {
		if !errors.Is(err, storage.ErrGone) {
			w.Errorf("%s of an upload that is gone: %v, want ErrGone", what, err)
		}
	}
}

func TestF16UploadThatIsBeingWrittenDoesNotExpire(t *testing.T) {
	expiring(t, func(w *world) {
		data := storagetest.Content(1, fileSize)
		w.create(storage.Record{ID: "it", Size: fileSize})
		src := storagetest.NewGate(bytes.NewReader(data[:5000]), bytes.NewReader(data[5000:]))
		done := make(chan error, 1)
		go func() {
			_, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: src})
			done <- err
		}()
		<-src.Reached
		time.Sleep(3 * day)
		w.sweep()
		if up, err := w.get("it"); err != nil || up.Offset() != 5000 {
			w.Errorf("get during a long write: %v, offset %d", err, up.Offset())
		}
		src.Open()
		if err := <-done; err != nil {
			w.Errorf("write: %v", err)
		}
		w.wantFile("it", data)
	})
}

// drip is a source that pauses before each hundred bytes.
type drip struct {
	io.Reader
	pause time.Duration
}

// Read implements io.Reader.
func (d drip) Read(p []byte) (int, error) {
	time.Sleep(d.pause)
	return d.Reader.Read(p[:min(len(p), 100)])
}

// A node sees only the stored bytes of another node's write.
func TestF16AnotherNodeDoesNotExpireAnUploadBeingWritten(t *testing.T) {
	for _, c := range []struct {
		name        string
		opts        storage.Options
		own         time.Duration // the upload's own expiry
		idle, pause time.Duration // before the write, and in it
	}{
		{name: "slowly", opts: storage.Options{ExpireAfter: day}, pause: 7 * time.Hour},
		{name: "just before it expires", opts: storage.Options{ExpireAfter: day}, idle: day - time.Hour, pause: 20 * time.Minute},
		{name: "with an expiry of its own", opts: storage.Options{ExpireAfter: day}, own: 10 * time.Minute, pause: 2 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, c.opts)
				other := w.node(w.memory.Node())
				data := storagetest.Content(1, 2500)
				w.create(storage.Record{ID: "it", Size: 2500, ExpireAfter: c.own})
				time.Sleep(c.idle)
				done := make(chan error, 1)
				go func() {
					_, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: drip{bytes.NewReader(data), c.pause}})
					done <- err
				}()
				for len(done) == 0 {
					if err := other.Sweep(w.ctx); err != nil {
						t.Errorf("sweep: %v", err)
					}
					time.Sleep(time.Minute)
				}
				if err := <-done; err != nil {
					t.Errorf("the write that went on all the time: %v", err)
				}
				w.wantFile("it", data)
			})
		})
	}
}

// writeCounter counts how often a store is asked to write.
type writeCounter struct {
	storage.Store
	lengths []int64
}

func (s *writeCounter) Write(ctx context.Context, up storage.Upload, c storage.Chunk, stored func(storage.Extent) storage.Upload) error {
	s.lengths = append(s.lengths, c.Length)
	return s.Store.Write(ctx, up, c, stored)
}

func TestOnlyASlowWriteIsSplitIntoSeveralStoreWrites(t *testing.T) {
	for pause, want := range map[time.Duration][]int64{
		time.Hour:      {2500},             // a thousand bytes, which are stored at once, take ten hours
		3 * time.Hour:  {2500, 2100, 1700}, // as soon as half a day has passed
		20 * time.Hour: {2500, 2400, 2300},
	} {
		expiring(t, func(w *world) {
			counter := &writeCounter{Store: w.memory}
			w.create(storage.Record{ID: "it", Size: 2500})
			data := storagetest.Content(1, 2500)
			src := drip{bytes.NewReader(data), pause}
			up, err := w.node(counter).Write(w.ctx, "it", storage.Chunk{Length: 2500, Body: src})
			if err != nil || !up.Finished {
				t.Errorf("write: %v, finished %v", err, up.Finished)
			}
			if len(counter.lengths) < len(want) || !slices.Equal(counter.lengths[:len(want)], want) {
				t.Errorf("every %v: chunks of %d bytes, want %d first", pause, counter.lengths, want)
			}
		})
	}
}

func TestF16FinishedUploadStaysAndAFinishedPartDoesNot(t *testing.T) {
	expiring(t, func(w *world) {
		data := storagetest.Content(1, fileSize)
		w.create(storage.Record{ID: "whole", Size: fileSize})
		w.resume("whole", data)
		w.create(storage.Record{ID: "part", Size: fileSize, Partial: true})
		w.resume("part", data)
		w.wantExpires("whole", 0)
		w.wantExpires("part", day)
		time.Sleep(day)
		w.sweep()
		w.wantFile("part", data)
		time.Sleep(time.Nanosecond)
		w.wantAllGone("part")
		w.sweep()
		w.wantGone("part")
		w.wantEvents("part", storage.Created, storage.Finished, storage.Expired)
		time.Sleep(1000 * day)
		w.sweep()
		w.wantFile("whole", data)
		w.wantEvents("whole", storage.Created, storage.Finished)
	})
}

// whole runs test in a world with a complete upload that could not be finished for longer
// than uploads are kept. accept is the error of BeforeFinish.
func whole(t *testing.T, test func(w *world, data []byte, accept *error)) {
	synctest.Test(t, func(t *testing.T) {
		accept := storage.Unavailable("ask", "it", errors.New("the app is down"))
		w := newWorld(t, storage.Options{ExpireAfter: day, Policy: storage.Policy{BeforeFinish: func(context.Context, storage.Upload) error { return accept }}})
		data := storagetest.Content(1, fileSize)
		w.create(storage.Record{ID: "it", Size: fileSize})
		if _, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: bytes.NewReader(data)}); !storage.Transient(err) {
			w.Errorf("write: %v, want a transient error", err)
		}
		for range 3 {
			time.Sleep(day)
			if err := w.uploads.Sweep(w.ctx); !storage.Transient(err) {
				w.Errorf("sweep: %v, want a transient error", err)
			}
		}
		test(w, data, &accept)
	})
}

func TestF16ACompleteUploadDoesNotExpireBeforeItIsFinished(t *testing.T) {
	for name, rescue := range rescuers {
		t.Run(name, func(t *testing.T) {
			whole(t, func(w *world, data []byte, accept *error) {
				if _, err := w.uploads.Get(w.ctx, "it"); !storage.Transient(err) {
					w.Errorf("get: %v, want a transient error", err)
				}
				*accept = nil
				if err := rescue(w, data); err != nil {
					w.Errorf("rescue: %v", err)
				}
				w.wantEvents("it", storage.Created, storage.Finished)
				w.wantFile("it", data)
			})
		})
	}
}

func TestF16ACompleteUploadExpiresIfFinishingFailsPermanently(t *testing.T) {
	whole(t, func(w *world, _ []byte, accept *error) {
		*accept = errRefused
		if _, err := w.uploads.Get(w.ctx, "it"); !errors.Is(err, errRefused) {
			w.Errorf("get: %v, want %v", err, errRefused)
		}
		w.sweep()
		w.wantGone("it")
		w.wantEvents("it", storage.Created, storage.Expired)
	})
}

func TestF16UploadThatIsDeletedWhileASweepFinishesItDoesNotExpireToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *world
		w = newWorld(t, storage.Options{ExpireAfter: day, Policy: storage.Policy{BeforeFinish: func(ctx context.Context, up storage.Upload) error {
			if time.Since(up.Created) <= day {
				return storage.Unavailable("ask", up.ID, errRefused)
			}
			return errors.Join(w.uploads.DeleteAsAdmin(ctx, up.ID), storage.ErrGone)
		}}})
		w.create(storage.Record{ID: "it", Size: 1})
		_, _ = w.uploads.Write(w.ctx, "it", storage.Chunk{Body: strings.NewReader("x")})
		time.Sleep(2 * day)
		_ = w.uploads.Sweep(w.ctx)
		w.wantEvents("it", storage.Created, storage.Deleted)
	})
}

// A rejected upload is not deleted at once: the app may accept it later.
func TestF16ARejectedUploadIsKeptUntilItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, storage.Options{ExpireAfter: day, Policy: storage.Policy{BeforeFinish: func(context.Context, storage.Upload) error { return errRefused }}})
		w.create(storage.Record{ID: "it", Size: 1})
		_, _ = w.uploads.Write(w.ctx, "it", storage.Chunk{Body: strings.NewReader("x")})
		time.Sleep(day)
		if err := w.uploads.Sweep(w.ctx); !errors.Is(err, errRefused) {
			w.Errorf("sweep: %v, want %v", err, errRefused)
		}
		w.wantEvents("it", storage.Created)
		time.Sleep(time.Nanosecond)
		w.sweep()
		w.wantEvents("it", storage.Created, storage.Expired)
	})
}

func TestF16WithoutALimitNothingExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, storage.Options{})
		w.create(storage.Record{ID: "it", Size: fileSize})
		time.Sleep(10_000 * day)
		w.sweep()
		w.wantExpires("it", 0)
	})
}

// That a cached upload has expired is not enough: the cache may have missed the last
// bytes.
func TestF16AStaleCacheDoesNotExpireAnUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := new(staleCache)
		w := newWorldWith(t, storage.Options{ExpireAfter: day}, func() storage.Cache { return cache })
		w.create(storage.Record{ID: "it", Size: fileSize})
		time.Sleep(day - time.Second)
		cache.stale = true
		w.send("it", storagetest.Content(1, fileSize), ranges.Of(0, 10))
		time.Sleep(time.Hour)
		w.wantExpires("it", day-time.Hour)
	})
}

func TestOptionsNowIsUsedAsTheClock(t *testing.T) {
	now := time.Now()
	w := newWorld(t, storage.Options{})
	w.opts.ExpireAfter, w.opts.Now = day, func() time.Time { return now }
	w.uploads = w.node(w.memory)
	now = now.Add(-10 * day)
	w.create(storage.Record{ID: "it", Size: fileSize})
	up, err := w.get("it")
	if err != nil || !up.Created.Equal(now) || !w.uploads.Expires(up).Equal(now.Add(day)) {
		t.Errorf("%v: created %v, expires %v; the clock says %v", err, up.Created, w.uploads.Expires(up), now)
	}
	if e := w.events.all(); len(e) != 1 || !e[0].Time.Equal(now) {
		t.Errorf("events %+v, want one at %v", e, now)
	}
	now = now.Add(day + 1)
	w.wantAllGone("it")
	w.sweep()
	w.wantGone("it")
}

func TestSweepContinuesAfterAFailure(t *testing.T) {
	expiring(t, func(w *world) {
		data := storagetest.Content(1, fileSize)
		for _, id := range []string{"a", "b", "c"} {
			w.create(storage.Record{ID: id, Size: fileSize})
			w.memory.Inject(failFirst(storagetest.Finish, storagetest.Fails))
			_, _ = w.uploads.Write(w.ctx, id, storage.Chunk{Body: bytes.NewReader(data)})
		}
		w.create(storage.Record{ID: "old", Size: 5})
		w.memory.Inject(failFirst(storagetest.Finish, storagetest.Fails))
		if err := w.uploads.Sweep(w.ctx); !storage.Transient(err) {
			w.Errorf("a sweep in which one finish fails: %v, want its error", err)
		}
		finished := 0
		for _, id := range []string{"a", "b", "c"} {
			if up, _ := w.memory.Load(w.ctx, id); up.Finished {
				finished++
			}
		}
		if finished < 2 {
			w.Errorf("%d of 3 uploads were finished, although only one finish failed", finished)
		}
		time.Sleep(2 * day)
		w.memory.Inject(failFirst(storagetest.Delete, storagetest.Fails))
		if err := w.uploads.Sweep(w.ctx); !storage.Transient(err) {
			w.Errorf("a sweep in which a removal fails: %v, want its error", err)
		}
		w.sweep()
		w.wantGone("old")
		w.wantEvents("old", storage.Created, storage.Expired)
		for _, op := range []storagetest.Op{storagetest.List, storagetest.Clean} {
			w.memory.Inject(failFirst(op, storagetest.Fails))
			if err := w.uploads.Sweep(w.ctx); !storage.Transient(err) {
				w.Errorf("a sweep whose %s fails: %v, want its error", op, err)
			}
		}
	})
}

// interruptedDelete is a store that lists, as after a crash during a deletion, an upload
// that is gone, and one that never existed.
type interruptedDelete struct {
	*storagetest.Memory
	deleted []string
}

func (s *interruptedDelete) List(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { _ = yield("never", nil) && yield("gone", nil) }
}

func (s *interruptedDelete) Delete(ctx context.Context, id string) error {
	s.deleted = append(s.deleted, id)
	return s.Memory.Delete(ctx, id)
}

func TestSweepCompletesAnInterruptedDelete(t *testing.T) {
	store := &interruptedDelete{Memory: storagetest.NewMemory(piece)}
	w := newWorld(t, storage.Options{})
	u := w.node(store)
	if _, err := u.Create(w.ctx, storage.Record{ID: "gone", Size: 5}); err != nil {
		t.Fatalf("create: %v", err)
	}
	if err := store.Memory.Delete(w.ctx, "gone"); err != nil {
		t.Fatalf("delete: %v", err)
	}
	if err := u.Sweep(w.ctx); err != nil || len(store.deleted) != 1 || store.deleted[0] != "gone" {
		t.Errorf("sweep: %v, deleted %v, want [gone]", err, store.deleted)
	}
}

func TestRunSweepsUntilItsContextEnds(t *testing.T) {
	expiring(t, func(w *world) {
		data := storagetest.Content(1, fileSize)
		ctx, cancel := context.WithCancel(w.ctx)
		ended := make(chan struct{})
		w.uploads = storage.New(w.memory, new(storage.MemoryLocker), new(storage.MemoryCache), w.opts)
		go func() {
			defer close(ended)
			w.uploads.Run(ctx, time.Hour)
		}()
		w.create(storage.Record{ID: "it", Size: fileSize})
		w.create(storage.Record{ID: "old", Size: fileSize})
		w.memory.Inject(failFirst(storagetest.Finish, storagetest.FailsButPersists))
		_, _ = w.uploads.Write(w.ctx, "it", storage.Chunk{Body: bytes.NewReader(data)})
		time.Sleep(12 * time.Hour) // it may have been checked before, and is then not checked for a while
		w.wantEvents("it", storage.Created, storage.Finished)
		time.Sleep(day + time.Hour)
		w.wantEvents("old", storage.Created, storage.Expired)
		cancel()
		<-ended
	})
}

// Of the nodes that share a store, one sweeps at a time.
func TestRunLeavesTheSweepToTheNodeThatHasTheLock(t *testing.T) {
	expiring(t, func(w *world) {
		locker := new(storage.MemoryLocker)
		w.uploads = storage.New(w.memory, locker, new(storage.MemoryCache), w.opts)
		unlock, err := locker.Lock(w.ctx, ".sweep", func() {})
		if err != nil {
			w.Fatal(err)
		}
		ctx, cancel := context.WithCancel(w.ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.uploads.Run(ctx, time.Hour)
		}()
		w.create(storage.Record{ID: "it", Size: fileSize})
		time.Sleep(2 * day)
		w.wantEvents("it", storage.Created)
		unlock()
		time.Sleep(2 * time.Hour)
		w.wantEvents("it", storage.Created, storage.Expired)
		cancel()
		<-ended
	})
}
