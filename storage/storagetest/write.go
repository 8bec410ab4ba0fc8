package storagetest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing/iotest"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func writeCases() []storeCase {
	return []storeCase{
		{"chunks may come in order", chunksInOrder},
		{"chunks may come in reverse", chunksInReverse},
		{"chunks may come at once in any order", chunksAtOnce},
		{"chunks may overlap", chunksOverlap},
		{"chunks may come in tiny reads", chunksInTinyReads},
		{"the first bytes stay when later ones differ", firstBytesStay},
		{"the same chunk may come twice at once", sameChunkAtOnce},
		{"of different bytes at once one stays at each offset", differentBytesAtOnce},
		{"what a failing source yielded is kept", failingSourceIsKept},
		{"a write of nothing changes nothing", nothingIsWritten},
		{"a byte may be far out", byteFarOut},
		{"what was reported outlives a kill in the middle of a write", reportedOutlivesKill},
		{"uploads that are written at once stay apart", uploadsStayApart},
		{"F20: a write that is flushed goes on", flushedWritesGoOn},
	}
}

func chunksInOrder(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	for _, r := range Chunks(f.size, f.size/6+1) {
		f.put(up, data, r)
		if got := f.load(up.ID); got.Offset() != r.End || got.Received.Count() != 1 {
			f.Errorf("written up to %d, received %v", r.End, got.Received)
		}
	}
	f.finish(up.ID, data)
}

func chunksInReverse(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	chunks := Chunks(f.size, f.size/6+1)
	slices.Reverse(chunks)
	for _, r := range chunks {
		f.put(up, data, r)
		if got := f.load(up.ID).Received; !got.Equal(ranges.NewSet(ranges.Range{Start: r.Start, End: f.size})) {
			f.Errorf("written down to %d, received %v", r.Start, got)
		}
	}
	f.finish(up.ID, data)
}

func chunksAtOnce(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	chunks := Chunks(f.size, f.size/9+1)
	order := rand.Perm(len(chunks))
	together(len(chunks), func(i int) error {
		r := chunks[order[i]]
		f.putFrom(f.store, up, r, cut(data, r))
		return nil
	})
	f.step()
	f.finish(up.ID, data)
}

func chunksOverlap(f *fixture) {
	part := func(from, to int64) ranges.Range {
		return ranges.Range{Start: f.size * from / 100, End: f.size * to / 100}
	}
	data := Content(1, f.size)
	first := part(30, 60)
	for name, second := range map[string]ranges.Range{
		"left": part(10, 40), "right": part(50, 80), "containing": part(20, 70), "contained": part(40, 50),
		"the same": first, "same start": part(30, 40), "same end": part(50, 60), "touching": part(60, 61),
		"apart": part(90, 95), "by one byte": {Start: 1, End: first.Start + 1},
	} {
		up := f.create(f.size)
		f.put(up, data, first)
		f.put(up, data, second)
		want := ranges.NewSet(first, second)
		if got := f.load(up.ID).Received; !got.Equal(want) {
			f.Errorf("%s: received %v, want %v", name, got, want)
		}
		f.put(f.load(up.ID), data, part(0, 100))
		f.finish(up.ID, data)
	}
}

func chunksInTinyReads(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	n := f.size / 3
	for i, src := range []func(io.Reader) io.Reader{iotest.HalfReader, iotest.DataErrReader, iotest.HalfReader} {
		r := ranges.Range{Start: int64(i) * n, End: min(int64(i+1)*n, f.size)}
		f.putFrom(f.store, up, r, src(cut(data, r)))
		f.step()
	}
	f.put(up, data, ranges.Range{Start: 3 * n, End: f.size})
	up = f.create(300)
	f.putFrom(f.store, up, ranges.Of(0, 300), iotest.OneByteReader(cut(data, ranges.Of(0, 300))))
	f.step()
	f.finish(up.ID, data[:300])
}

func firstBytesStay(f *fixture) {
	first, second := Content(1, f.size), Content(2, f.size)
	up := f.create(f.size)
	kept := ranges.NewSet(
		ranges.Range{Start: f.size / 10, End: f.size / 4},
		ranges.Range{Start: f.size / 2, End: f.size*3/4 + 1},
		ranges.Of(f.size-3, 2))
	for _, r := range kept.Ranges() {
		f.put(up, first, r)
	}
	f.put(f.load(up.ID), second, ranges.Range{Start: f.size / 5, End: f.size})
	f.put(f.load(up.ID), second, ranges.Range{Start: 0, End: f.size})
	want := second
	for _, r := range kept.Ranges() {
		copy(want[r.Start:r.End], first[r.Start:r.End])
	}
	f.finish(up.ID, want)
	f.put(f.load(up.ID), Content(3, f.size), ranges.Of(0, f.size))
	f.wantFile(up.ID, want)
}

func sameChunkAtOnce(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	for _, r := range Chunks(f.size, f.size/3+1) {
		together(4, func(int) error {
			f.putFrom(f.store, up, r, cut(data, r))
			return nil
		})
		f.step()
		f.wantReceived(up.ID, r)
	}
	f.finish(up.ID, data)
}

func differentBytesAtOnce(f *fixture) {
	one, two := Content(1, f.size), Content(2, f.size)
	up := f.create(f.size)
	for _, err := range together(2, func(i int) error {
		src := bytes.NewReader([][]byte{one, two}[i])
		return f.store.Write(f.ctx, up, storage.Chunk{Length: f.size, Body: src}, newReports(f).stored(up))
	}) {
		if err != nil && !errors.Is(err, storage.ErrContentConflict) {
			f.Errorf("write: %v", err)
		}
	}
	f.step()
	f.putFrom(f.store, f.load(up.ID), ranges.Of(0, f.size), bytes.NewReader(one)) // if both were refused
	f.step()
	if _, err := f.store.Finish(f.ctx, f.load(up.ID)); err != nil {
		f.Fatalf("finish: %v", err)
	}
	f.step()
	file, err := f.store.Open(f.ctx, f.load(up.ID), 0)
	if err != nil {
		f.Fatalf("open: %v", err)
	}
	defer file.Close()
	got, err := io.ReadAll(file)
	if err != nil || !mixed(got, one, two) {
		f.Errorf("read: %v; some of the %d bytes are neither writer's", err, len(got))
	}
}

func failingSourceIsKept(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	for _, r := range []ranges.Range{ranges.Of(0, f.size/7), ranges.Of(f.size/2, f.size/3), ranges.Of(f.size/7, 1)} {
		declared := f.size - r.Start
		if r.Start == 0 {
			declared = storage.Unknown
		}
		rep := newReports(f)
		broken := io.MultiReader(cut(data, r), iotest.ErrReader(errors.New("the connection broke")))
		err := f.store.Write(f.ctx, up, storage.Chunk{Offset: r.Start, Length: declared, Body: broken}, rep.stored(up))
		rep.end()
		if err != nil {
			f.Errorf("a source that fails is no failure of the store: %v", err)
		}
		f.step()
		f.wantReceived(up.ID, r)
	}
	want := ranges.NewSet(ranges.Of(0, f.size/7+1), ranges.Of(f.size/2, f.size/3))
	if got := f.load(up.ID).Received; !got.Equal(want) {
		f.Errorf("received %v, want %v", got, want)
	}
	f.put(up, data, ranges.Of(0, f.size))
	f.finish(up.ID, data)
}

func nothingIsWritten(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	for _, at := range []int64{0, f.size / 2, f.size} {
		f.putFrom(f.store, up, ranges.Of(at, 0), strings.NewReader(""))
		f.putFrom(f.store, up, ranges.Of(at, 0), iotest.ErrReader(io.ErrUnexpectedEOF))
		f.step()
	}
	if got := f.load(up.ID); !got.Received.Empty() || got.Finished {
		f.Errorf("received %v of nothing, finished %v", got.Received, got.Finished)
	}
	f.putAll(up, data)
	f.finish(up.ID, data)
}

func byteFarOut(f *fixture) {
	const size = 1 << 40
	up := f.create(size)
	last := ranges.Of(size-10, 10)
	f.putFrom(f.store, up, last, bytes.NewReader(Content(1, 10)))
	f.step()
	if got := f.load(up.ID); !got.Received.Equal(ranges.NewSet(last)) || got.Complete() {
		f.Errorf("received %v, complete %v; want %v alone", got.Received, got.Complete(), last)
	}
}

func reportedOutlivesKill(f *fixture) {
	data := Content(1, f.size)
	up := f.create(f.size)
	for _, from := range []int64{f.size / 3, 0} {
		r := ranges.Range{Start: from, End: f.size}
		reported := f.killDuring(up, data, r)
		if got := f.load(up.ID).Received; !reported.Minus(got).Empty() {
			f.Errorf("%v was reported, after the kill %v is there", reported, got)
		} else if !got.Minus(ranges.NewSet(r)).Empty() {
			f.Errorf("after the kill %v is there, which was not sent", got)
		}
	}
	f.put(up, data, ranges.Of(0, f.size))
	f.finish(up.ID, data)
}

// killDuring reopens the store while a write of r is half done, and returns what
// that write had reported until then. The write itself ends later, like one of a
// process that was only thought dead.
func (f *fixture) killDuring(up storage.Upload, data []byte, r ranges.Range) ranges.Set {
	f.Helper()
	middle := r.Start + r.Len()*2/3
	src := NewGate(cut(data, ranges.Range{Start: r.Start, End: middle}), cut(data, ranges.Range{Start: middle, End: r.End}))
	rep := newReports(f)
	old, done := f.store, make(chan struct{})
	go func() {
		defer close(done)
		_ = old.Write(f.ctx, up, chunk(r.Start, src), rep.stored(up))
		rep.end()
	}()
	select {
	case <-src.Reached:
	case <-done:
		f.Fatal("the write ended before its source")
	}
	reported := rep.soFar()
	f.store = f.h.Open()
	src.Open()
	<-done
	return reported
}

func uploadsStayApart(f *fixture) {
	const n = 6
	var ups [n]storage.Upload
	for i := range ups {
		ups[i] = f.create(f.size)
	}
	together(n, func(i int) error {
		data := Content(uint64(i), f.size)
		for _, r := range Chunks(f.size, f.size/2+1) {
			f.putFrom(f.store, ups[i], r, cut(data, r))
		}
		return nil
	})
	f.step()
	for i := range ups {
		f.finish(ups[i].ID, Content(uint64(i), f.size))
	}
}
