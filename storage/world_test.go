package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

const (
	fileSize = 10_007
	piece    = 1000 // bytes that the store writes in one operation
)

// discardLogger drops all logs.
var discardLogger = slog.New(slog.DiscardHandler)

// world is a core over a store that can be made to fail, and a client that checks all
// responses.
type world struct {
	*testing.T
	ctx      context.Context
	opts     storage.Options
	newCache func() storage.Cache
	started  func(*storage.Uploads) // called with each new core, if set
	events   *eventLog

	mu      sync.Mutex
	memory  *storagetest.Memory
	uploads *storage.Uploads
	offsets map[string]int64 // the highest ones reported
	crash   bool             // the next failure that the client gets kills the process

	mayGoBack bool // reported offsets may decrease
}

// newWorld returns a world without a locker: correctness needs none.
func newWorld(t *testing.T, opts storage.Options) *world {
	return newWorldWith(t, opts, func() storage.Cache { return new(storage.MemoryCache) })
}

func newWorldWith(t *testing.T, opts storage.Options, newCache func() storage.Cache) *world {
	w := &world{T: t, ctx: context.Background(), newCache: newCache, events: new(eventLog), offsets: map[string]int64{},
		memory: storagetest.NewMemory(piece)}
	opts.Observer.Event, opts.Log = w.events.notify, discardLogger
	w.opts = opts
	w.uploads = w.node(w.memory)
	return w
}

// newSharedWorld returns a world whose nodes share a cache.
func newSharedWorld(t *testing.T) *world {
	cache := new(storage.MemoryCache)
	return newWorldWith(t, storage.Options{}, func() storage.Cache { return cache })
}

// node returns the core of another process over the given store.
func (w *world) node(store storage.Store) *storage.Uploads {
	u := storage.New(store, nil, w.newCache(), w.opts)
	if w.started != nil {
		w.started(u)
	}
	return u
}

// restart kills the process and starts the next one.
func (w *world) restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.memory = w.memory.Restart()
	w.uploads = w.node(w.memory)
}

func (w *world) core() *storage.Uploads {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.uploads
}

// failed is called for each failure that the client gets.
func (w *world) failed() {
	w.mu.Lock()
	crash := w.crash
	w.crash = false
	w.mu.Unlock()
	if crash {
		w.restart()
	}
}

// try retries a request as a client does until it succeeds or fails permanently. The
// offset in the response must not be less than any returned before the request was made.
func (w *world) try(id string, request func(*storage.Uploads) (storage.Upload, error)) (up storage.Upload, err error) {
	for range 60 {
		w.mu.Lock()
		before := w.offsets[id]
		w.mu.Unlock()
		up, err = request(w.core())
		if up.ID != "" {
			w.wantOffset(up, before)
		}
		if !storage.Transient(err) {
			return up, err
		}
		w.failed()
	}
	return up, err
}

func (w *world) wantOffset(up storage.Upload, atLeast int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if up.Offset() < atLeast && !w.mayGoBack {
		w.Errorf("the offset of %s went back from %d to %d", up.ID, atLeast, up.Offset())
	}
	w.offsets[up.ID] = max(w.offsets[up.ID], up.Offset())
}

func (w *world) create(rec storage.Record) {
	w.Helper()
	attempts := 0
	_, err := w.try(rec.ID, func(u *storage.Uploads) (storage.Upload, error) {
		attempts++
		return u.Create(w.ctx, rec)
	})
	// The upload exists if the response to a successful creation was lost.
	if err != nil && (attempts == 1 || !errors.Is(err, storage.ErrExists)) {
		w.Fatalf("create: %v", err)
	}
}

func (w *world) get(id string) (storage.Upload, error) {
	return w.try(id, func(u *storage.Uploads) (storage.Upload, error) { return u.Get(w.ctx, id) })
}

// send writes one chunk, and repeats it as a whole until it is confirmed.
func (w *world) send(id string, data []byte, r ranges.Range) {
	up, err := w.try(id, func(u *storage.Uploads) (storage.Upload, error) {
		return u.Write(w.ctx, id, storage.Chunk{Offset: r.Start, Body: bytes.NewReader(data[r.Start:r.End])})
	})
	if err != nil || !up.Has(r) {
		w.Errorf("send %v: %v; confirmed %v", r, err, up.Received)
	}
}

// resume sends all of data in one request, and after a failure gets the offset and
// continues from there, as tus clients do.
func (w *world) resume(id string, data []byte) {
	offset := int64(0)
	_, err := w.try(id, func(u *storage.Uploads) (storage.Upload, error) {
		up, err := u.Write(w.ctx, id, storage.Chunk{Offset: offset, Body: bytes.NewReader(data[offset:])})
		if err != nil {
			if now, getErr := w.get(id); getErr == nil {
				offset = now.Offset()
			}
		}
		return up, err
	})
	if err != nil {
		w.Errorf("resume: %v", err)
	}
}

func (w *world) declare(id string, size int64) {
	w.Helper()
	if _, err := w.try(id, func(u *storage.Uploads) (storage.Upload, error) { return u.SetSize(w.ctx, id, size) }); err != nil {
		w.Errorf("declare: %v", err)
	}
}

func (w *world) delete(id string) {
	w.Helper()
	_, err := w.try(id, func(u *storage.Uploads) (storage.Upload, error) { return storage.Upload{}, u.Delete(w.ctx, id) })
	if err != nil && !errors.Is(err, storage.ErrGone) {
		w.Errorf("delete: %v", err)
	}
}

// wantFile checks that the upload is finished and its file is data.
func (w *world) wantFile(id string, data []byte) {
	w.Helper()
	up, err := w.get(id)
	if err != nil || !up.Finished || up.Size != int64(len(data)) {
		w.Fatalf("get: %v, finished %v, %d bytes; want a file of %d", err, up.Finished, up.Size, len(data))
	}
	_, err = w.try(id, func(u *storage.Uploads) (storage.Upload, error) {
		file, err := u.Open(w.ctx, up)
		if err != nil {
			return storage.Upload{}, err
		}
		return storage.Upload{}, errors.Join(storagetest.Same(file, data), file.Close())
	})
	if err != nil {
		w.Errorf("read: %v", err)
	}
}

// wantGone checks that the upload is gone, for the core and in the store.
func (w *world) wantGone(id string) {
	w.Helper()
	if _, err := w.get(id); !errors.Is(err, storage.ErrGone) {
		w.Errorf("get: %v, want ErrGone", err)
	}
	w.memory.Inject(nil)
	if _, err := w.memory.Load(w.ctx, id); !errors.Is(err, storage.ErrGone) {
		w.Errorf("load from the store: %v, want ErrGone", err)
	}
}

// wantEvents checks which events of an upload were published, in their order.
func (w *world) wantEvents(id string, want ...storage.EventType) {
	w.Helper()
	if got := w.events.of(id); !slices.Equal(got, want) {
		w.Errorf("events of %s: %v, want %v", id, got, want)
	}
}

// eventLog records events.
type eventLog struct {
	mu     sync.Mutex
	events []storage.Event
}

func (l *eventLog) notify(_ context.Context, e storage.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *eventLog) all() []storage.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// of returns the types of the events of one upload.
func (l *eventLog) of(id string) []storage.EventType {
	var types []storage.EventType
	for _, e := range l.all() {
		if e.Upload.ID == id {
			types = append(types, e.Type)
		}
	}
	return types
}

// failFirst applies the outcome to the first operation of a kind only.
func failFirst(op storagetest.Op, outcome storagetest.Outcome) func(storagetest.Op) storagetest.Outcome {
	done := false
	return func(o storagetest.Op) storagetest.Outcome {
		if o != op || done {
			return storagetest.Works
		}
		done = true
		return outcome
	}
}

// aborted yields data and then fails, like a request body whose connection breaks.
func aborted(data []byte) io.Reader {
	return io.MultiReader(bytes.NewReader(data), errReader{io.ErrUnexpectedEOF})
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }
