package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestWriteBeginsWithinTheUpload(t *testing.T) {
	w := newWorld(t, storage.Options{MaxSize: 1000})
	w.create(storage.Record{ID: "known", Size: 100})
	w.create(storage.Record{ID: "unknown", Size: storage.Unknown})
	for _, c := range []struct {
		id     string
		offset int64
		want   error
	}{
		{"known", 0, nil}, {"known", 99, nil}, {"known", 100, nil}, {"known", 101, storage.ErrOutOfRange},
		{"known", -1, storage.ErrBadRequest}, {"known", math.MinInt64, storage.ErrBadRequest},
		{"known", math.MaxInt64, storage.ErrOutOfRange},
		{"unknown", 1000, nil}, {"unknown", 1001, storage.ErrTooLarge}, {"unknown", math.MaxInt64, storage.ErrTooLarge},
	} {
		up, err := w.uploads.Write(w.ctx, c.id, storage.Chunk{Offset: c.offset, Body: strings.NewReader("")})
		if !errors.Is(err, c.want) || storage.Transient(err) || !up.Received.Empty() {
			t.Errorf("nothing at %d of %s: %v, received %v; want %v", c.offset, c.id, err, up.Received, c.want)
		}
	}
}

func TestWriteWithoutALimitAcceptsAnyOffset(t *testing.T) {
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: storage.Unknown})
	up, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Offset: math.MaxInt64 - 2, Body: strings.NewReader("abc")})
	if !errors.Is(err, storage.ErrTooLarge) || !up.Has(ranges.Of(math.MaxInt64-2, 2)) {
		t.Errorf("three bytes at the last but two offsets: %v, received %v", err, up.Received)
	}
}

func TestFirstBytesOfAnOffsetStay(t *testing.T) {
	first, second := storagetest.Content(1, fileSize), storagetest.Content(2, fileSize)
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize})
	w.send("it", first, ranges.Of(2500, 3000))
	w.restart()
	w.send("it", second, ranges.Of(0, fileSize))
	copy(second[2500:], first[2500:5500])
	w.wantFile("it", second)
	w.send("it", first, ranges.Of(0, fileSize))
	w.wantFile("it", second)
}

// lengthRecorder is a store that records the lengths of chunks.
type lengthRecorder struct {
	*storagetest.Memory
	lengths []int64
}

func (s *lengthRecorder) Write(ctx context.Context, up storage.Upload, c storage.Chunk, stored func(storage.Extent) storage.Upload) error {
	s.lengths = append(s.lengths, c.Length)
	return s.Memory.Write(ctx, up, c, stored)
}

func TestTheStoreGetsTheLengthOfAChunk(t *testing.T) {
	w := newWorld(t, storage.Options{})
	store := &lengthRecorder{Memory: w.memory}
	u := w.node(store)
	w.create(storage.Record{ID: "it", Size: fileSize})
	for _, c := range []storage.Chunk{{Body: strings.NewReader("abc")}, {Length: storage.Unknown, Body: strings.NewReader("abc")}, {Length: 3, Body: strings.NewReader("abc")}, {Length: 9, Body: aborted([]byte("abc"))}} {
		_, _ = u.Write(w.ctx, "it", c)
	}
	if want := []int64{storage.Unknown, storage.Unknown, 3, 9}; !slices.Equal(store.lengths, want) {
		t.Errorf("lengths %v, want %v", store.lengths, want)
	}
}

// contextStore is a store that checks its context.
type contextStore struct{ *storagetest.Memory }

func (s contextStore) Write(ctx context.Context, up storage.Upload, c storage.Chunk, stored func(storage.Extent) storage.Upload) error {
	c.Body = io.MultiReader(c.Body, contextReader{ctx})
	return s.Memory.Write(ctx, up, c, stored)
}

func (s contextStore) Finish(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	done, err := s.Memory.Finish(ctx, up)
	return done, errors.Join(ctx.Err(), err)
}

// contextReader returns io.EOF, or panics if its context is done.
type contextReader struct{ ctx context.Context }

func (r contextReader) Read([]byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		panic("received bytes are being stored with a canceled context")
	}
	return 0, io.EOF
}

func TestADisconnectDoesNotStopStoring(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	u := w.node(contextStore{w.memory})
	w.create(storage.Record{ID: "it", Size: fileSize})
	ctx, cancel := context.WithCancel(w.ctx)
	src := storagetest.NewGate(bytes.NewReader(data[:5000]), bytes.NewReader(data[5000:]))
	go func() {
		<-src.Reached
		cancel()
		src.Open()
	}()
	if up, err := u.Write(ctx, "it", storage.Chunk{Body: src}); err != nil || !up.Finished {
		t.Errorf("write: %v, finished %v", err, up.Finished)
	}
	w.uploads = u
	w.wantFile("it", data)
}

func TestACanceledStatusQueryFinishesTheUpload(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize})
	w.memory.Inject(failFirst(storagetest.Finish, storagetest.Fails))
	_, _ = w.uploads.Write(w.ctx, "it", storage.Chunk{Body: bytes.NewReader(data)})
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	if up, err := w.node(contextStore{w.memory}).Get(ctx, "it"); err != nil || !up.Finished {
		t.Errorf("get: %v, finished %v", err, up.Finished)
	}
}

func TestAFinishedUploadIsNotWrittenAgain(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize})
	w.resume("it", data)
	w.memory.Inject(func(op storagetest.Op) storagetest.Outcome {
		if op.Writes() {
			return storagetest.Fails
		}
		return storagetest.Works
	})
	for _, r := range chunks {
		src := bytes.NewReader(data[r.Start:r.End])
		if up, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Offset: r.Start, Body: src}); err != nil || !up.Finished || src.Len() != 0 {
			t.Errorf("write %v again: %v, finished %v, %d bytes unread", r, err, up.Finished, src.Len())
		}
	}
}

func TestAnUploadHasNoMoreThanMaxRanges(t *testing.T) {
	w := newWorld(t, storage.Options{})
	const size = 4 * storage.MaxRanges
	data := storagetest.Content(1, size)
	w.create(storage.Record{ID: "it", Size: size})
	up, err := w.memory.Load(w.ctx, "it")
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	for i := range int64(storage.MaxRanges) {
		one := storage.Chunk{Offset: 2 * i, Length: 1, Body: bytes.NewReader(data[2*i : 2*i+1])}
		if err := w.memory.Write(w.ctx, up, one, func(storage.Extent) storage.Upload { return up }); err != nil {
			t.Fatalf("write: %v", err)
		}
	}
	w.restart()
	apart := ranges.Of(size-100, 10)
	_, err = w.uploads.Write(w.ctx, "it", storage.Chunk{Offset: apart.Start, Body: bytes.NewReader(data[apart.Start:])})
	if !errors.Is(err, storage.ErrTooManyRanges) || storage.Transient(err) {
		t.Errorf("one range more than allowed: %v, want ErrTooManyRanges", err)
	}
	w.send("it", data, ranges.Of(1, 1)) // it closes a gap
	w.send("it", data, apart)           // so that one more range is allowed
}

func TestABodyAbortedAfterTheLastByteFinishesTheUpload(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	w := newWorld(t, storage.Options{})
	w.create(storage.Record{ID: "it", Size: fileSize})
	up, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: aborted(data)})
	if !errors.Is(err, storage.ErrBodyAborted) || !up.Finished {
		t.Errorf("write: %v, finished %v; want ErrBodyAborted, finished", err, up.Finished)
	}
	w.wantEvents("it", storage.Created, storage.Finished)
	up, err = w.uploads.Write(w.ctx, "it", storage.Chunk{Offset: 100, Body: aborted(data[100:200])})
	if !errors.Is(err, storage.ErrBodyAborted) || !up.Finished {
		t.Errorf("write to a finished upload: %v, finished %v; want ErrBodyAborted, finished", err, up.Finished)
	}
	w.wantFile("it", data)
}

// The returned upload has exactly the bytes that were stored.
func TestAFailedWriteReportsWhatIsStored(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	for k := range 5 {
		w := newWorld(t, storage.Options{})
		w.create(storage.Record{ID: "it", Size: fileSize})
		fault{k: k, n: 1, outcome: storagetest.Fails}.inject(w)
		up, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: bytes.NewReader(data)})
		if !errors.Is(err, storage.ErrUnavailable) || up.Offset() != int64(k)*piece {
			t.Errorf("piece %d fails: %v, offset %d", k, err, up.Offset())
		}
	}
}
