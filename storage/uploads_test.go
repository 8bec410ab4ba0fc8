package storage_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestCreateRejectsInvalidRecords(t *testing.T) {
	w := newWorld(t, storage.Options{MaxSize: fileSize})
	for _, c := range []struct {
		name string
		rec  storage.Record
		want error
	}{
		{"a bad id", storage.Record{ID: "../x", Size: 1}, storage.ErrBadID},
		{"a negative size", storage.Record{Size: -2}, storage.ErrBadRequest},
		{"more than is allowed", storage.Record{Size: fileSize + 1}, storage.ErrTooLarge},
		{"a part of itself", storage.Record{ID: "it", Size: 1, Parts: []string{"a", "it"}}, storage.ErrBadRequest},
		{"too many parts", storage.Record{Size: 1, Parts: make([]string, storage.MaxParts+1)}, storage.ErrBadRequest},
		{"one part too often", storage.Record{Size: 1, Parts: strings.Split(strings.Repeat("a,b,", storage.MaxRepeats)+"a", ",")}, storage.ErrBadRequest},
		{"too many metadata", storage.Record{Size: 1, Metadata: storage.Metadata{"a": strings.Repeat("x", storage.MaxMetadata*3/4-1)}}, storage.ErrMetadataTooLarge},
		{"as many metadata as are allowed", storage.Record{Size: 1, Metadata: storage.Metadata{"a": strings.Repeat("x", storage.MaxMetadata*3/4-3)}}, nil},
		{"what is allowed", storage.Record{Size: fileSize}, nil},
		{"an unknown size", storage.Record{Size: storage.Unknown}, nil},
	} {
		if _, err := w.uploads.Create(w.ctx, c.rec); !errors.Is(err, c.want) || storage.Transient(err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if n := len(w.events.all()); n != 3 {
		t.Errorf("%d events of 3 creations", n)
	}
}

func TestCreateChoosesAnID(t *testing.T) {
	w := newWorld(t, storage.Options{})
	before := time.Now()
	known := map[string]bool{}
	for range 100 {
		up, err := w.uploads.Create(w.ctx, storage.Record{Size: 3, Metadata: map[string]string{"a": "b"}})
		if err != nil || storage.CheckID(up.ID) != nil || len(up.ID) < 26 || known[up.ID] {
			t.Fatalf("create: %v, id %q, created before %v", err, up.ID, known[up.ID])
		}
		known[up.ID] = true
		if up.Created.Before(before) || up.Created.Location() != time.UTC || up.Offset() != 0 || up.Metadata["a"] != "b" {
			t.Errorf("created %+v", up)
		}
	}
}

func TestRecordHasClientChosenID(t *testing.T) {
	w := newWorld(t, storage.Options{})
	for id, chosen := range map[string]bool{"": false, "mine": true} {
		up, err := w.uploads.Create(w.ctx, storage.Record{ID: id, Size: 3, ClientChosenID: !chosen})
		if err != nil || up.ClientChosenID != chosen {
			t.Errorf("create %q: %v, chosen %v", id, err, up.ClientChosenID)
		}
	}
}

func TestEventsDescribeTheUpload(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize, Metadata: map[string]string{"filename": "a.mp4"}})
	w.resume("it", data)
	w.delete("it")
	for i, want := range []storage.EventType{storage.Created, storage.Finished, storage.Deleted} {
		e := w.events.all()[i]
		if e.Type != want || e.ID != "it."+string(want) || e.Upload.Metadata["filename"] != "a.mp4" || e.Time.IsZero() {
			t.Errorf("event %d: %+v, want %v", i, e, want)
		}
		if finished := i > 0; e.Upload.Finished != finished {
			t.Errorf("event %d: finished %v, want %v", i, e.Upload.Finished, finished)
		}
	}
}

// The app must not be notified of a finish before it can read the file.
func TestFinishedIsPublishedOnceTheFileCanBeRead(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	published := 0
	w.opts.Observer.Event = func(ctx context.Context, e storage.Event) {
		if e.Type != storage.Finished {
			return
		}
		published++
		file, err := w.uploads.Open(ctx, e.Upload)
		if err != nil {
			t.Errorf("open: %v", err)
			return
		}
		if err := errors.Join(storagetest.Same(file, data), file.Close()); err != nil {
			t.Errorf("read: %v", err)
		}
	}
	w.uploads = w.node(w.memory)
	w.create(storage.Record{ID: "it", Size: fileSize})
	w.resume("it", data)
	if published != 1 {
		t.Errorf("published %d times, want 1", published)
	}
}

func TestAnObserverIsOptional(t *testing.T) {
	u := storage.New(storagetest.NewMemory(piece), nil, new(storage.MemoryCache), storage.Options{Log: discardLogger})
	if up, err := u.Create(t.Context(), storage.Record{Size: 0}); err != nil || !up.Finished {
		t.Errorf("create: %v, finished %v", err, up.Finished)
	}
}

func TestUnknownUploadsAreNotFound(t *testing.T) {
	w := newWorld(t, storage.Options{})
	for id, want := range map[string]error{"never": storage.ErrNotFound, "": storage.ErrBadID, "a/b": storage.ErrBadID} {
		_, get := w.uploads.Get(w.ctx, id)
		_, write := w.uploads.Write(w.ctx, id, storage.Chunk{Body: strings.NewReader("x")})
		_, declare := w.uploads.SetSize(w.ctx, id, 5)
		_, concat := w.uploads.Concat(w.ctx, id)
		remove := w.uploads.Delete(w.ctx, id)
		for what, err := range map[string]error{"get": get, "write": write, "declare": declare, "concat": concat, "delete": remove} {
			if !errors.Is(err, want) || storage.Transient(err) {
				t.Errorf("%s %q: %v, want %v", what, id, err, want)
			}
		}
	}
	w.create(storage.Record{ID: "never", Size: 3}) // the failed calls have no effect
	w.send("never", []byte("abc"), ranges.Of(0, 3))
	w.wantFile("never", []byte("abc"))
}

func TestAFailingStoreIsNotReportedAsNotFound(t *testing.T) {
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: 3})
	w.restart()
	w.memory.Inject(func(storagetest.Op) storagetest.Outcome { return storagetest.Fails })
	_, get := w.uploads.Get(w.ctx, "it")
	_, write := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: strings.NewReader("abc")})
	_, create := w.uploads.Create(w.ctx, storage.Record{ID: "other", Size: 3})
	for what, err := range map[string]error{"get": get, "write": write, "create": create, "delete": w.uploads.Delete(w.ctx, "it")} {
		if !storage.Transient(err) || errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrGone) {
			t.Errorf("%s: %v, want a transient error alone", what, err)
		}
	}
}

func TestSetSizeRejectsContradictions(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{MaxSize: fileSize})
	w.create(storage.Record{ID: "it", Size: storage.Unknown})
	w.send("it", data, ranges.Of(100, 400))
	refused := func(size int64, want error) {
		t.Helper()
		if _, err := w.uploads.SetSize(w.ctx, "it", size); !errors.Is(err, want) || storage.Transient(err) {
			t.Errorf("declare %d: %v, want %v", size, err, want)
		}
	}
	refused(-1, storage.ErrBadRequest)
	refused(-5, storage.ErrBadRequest)
	refused(499, storage.ErrSizeMismatch)
	refused(fileSize+1, storage.ErrTooLarge)
	w.declare("it", fileSize)
	w.declare("it", fileSize)
	refused(500, storage.ErrSizeMismatch)
	w.resume("it", data)
	refused(500, storage.ErrSizeMismatch)
	w.declare("it", fileSize)
	w.wantFile("it", data)
}

// A size set by another node holds, although this node's cache does not have it.
func TestSetSizeChecksTheStore(t *testing.T) {
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: storage.Unknown})
	if err := w.memory.SetSize(w.ctx, "it", 10); err != nil {
		t.Fatalf("declare: %v", err)
	}
	if _, err := w.uploads.SetSize(w.ctx, "it", 11); !errors.Is(err, storage.ErrSizeMismatch) {
		t.Errorf("declare another size: %v, want ErrSizeMismatch", err)
	}
	if up, err := w.uploads.SetSize(w.ctx, "it", 10); err != nil || up.Size != 10 {
		t.Errorf("declare the same size: %v, size %d", err, up.Size)
	}
}

func TestDeleteEndsAWriteAndRemovesAllData(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	for _, n := range []int64{0, 5 * piece, fileSize} {
		w := newWorld(t, storage.Options{})
		w.create(storage.Record{ID: "it", Size: fileSize})
		src := storagetest.NewGate(bytes.NewReader(data[:n]), bytes.NewReader(data[n:]))
		done := make(chan error, 1)
		go func() {
			_, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: src})
			done <- err
		}()
		<-src.Reached
		w.delete("it")
		src.Open()
		if err := <-done; !errors.Is(err, storage.ErrGone) {
			t.Errorf("deleted after %d bytes, write: %v; want ErrGone", n, err)
		}
		w.wantAllGone("it")
		w.wantGone("it")
		w.wantEvents("it", storage.Created, storage.Deleted)
		if _, err := w.uploads.Create(w.ctx, storage.Record{ID: "it", Size: 3}); !errors.Is(err, storage.ErrGone) {
			t.Errorf("create again: %v, want ErrGone", err)
		}
	}
}

// An upload that another node has deleted is gone here too, as soon as more than its state
// is requested.
func TestADeletionByAnotherNodeIsDetected(t *testing.T) {
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize})
	if err := w.memory.Delete(w.ctx, "it"); err != nil {
		t.Fatalf("delete: %v", err)
	}
	if _, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: strings.NewReader("abc")}); !errors.Is(err, storage.ErrGone) {
		t.Errorf("write: %v, want ErrGone", err)
	}
	w.wantAllGone("it")
}

func TestLockUsesTheLocker(t *testing.T) {
	u := storage.New(storagetest.NewMemory(piece), new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{})
	unlock, err := u.Lock(t.Context(), "it", func() {})
	if err != nil {
		t.Fatalf("lock: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := u.Lock(ctx, "it", func() {}); !errors.Is(err, storage.ErrLocked) || !storage.Transient(err) {
		t.Errorf("lock what is held: %v, want ErrLocked", err)
	}
	unlock()
}

func TestCheckCallsTheStore(t *testing.T) {
	w := newWorld(t, storage.Options{MaxSize: 5, ExpireAfter: day})
	old := w.uploads
	if err := old.Check(w.ctx); err != nil {
		t.Errorf("check: %v", err)
	}
	w.restart()
	if err := old.Check(w.ctx); err == nil {
		t.Error("the check of a closed store passed")
	}
	var plain struct{ storage.Store } // not a Checker
	if err := w.node(plain).Check(w.ctx); err != nil {
		t.Errorf("check of a store that is no Checker: %v", err)
	}
	if w.uploads.MaxSize() != 5 || w.uploads.ExpireAfter() != day {
		t.Errorf("MaxSize %d, ExpireAfter %v", w.uploads.MaxSize(), w.uploads.ExpireAfter())
	}
}
