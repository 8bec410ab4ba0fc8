package storagetest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// create makes an upload of the given size and returns it as it was then: the
// tests pass this old snapshot on, as a request that began long ago would.
func (f *fixture) create(size int64) storage.Upload {
	f.Helper()
	return f.createAs(storage.Record{ID: storage.NewID(), Size: size, ClientChosenID: true})
}

func (f *fixture) createAs(rec storage.Record) storage.Upload {
	f.Helper()
	if rec.Created.IsZero() {
		rec.Created = time.Now().UTC()
	}
	if f.h.Key != nil && rec.Key == "" {
		rec.Key = f.h.Key(rec.ID)
	}
	if err := f.store.Create(f.ctx, rec); err != nil {
		f.Fatalf("create %s: %v", rec.ID, err)
	}
	f.step()
	return f.load(rec.ID)
}

func (f *fixture) load(id string) storage.Upload {
	f.Helper()
	up, err := f.store.Load(f.ctx, id)
	if err != nil {
		f.Fatalf("load %s: %v", id, err)
	}
	return up
}

// put writes the part of data that lies in r to its place.
func (f *fixture) put(up storage.Upload, data []byte, r ranges.Range) {
	f.Helper()
	f.putFrom(f.store, up, r, cut(data, r))
	f.step()
	f.wantReceived(up.ID, r)
}

// putFrom writes src, which yields as many bytes as r has, to r. What the store
// reports and what it says of itself afterwards must agree with that.
func (f *fixture) putFrom(s storage.Store, up storage.Upload, r ranges.Range, src io.Reader) {
	f.Helper()
	f.reportLoaded(s, up.ID)
	rep := newReports(f)
	stored := rep.stored(up)
	c := storage.Chunk{Offset: r.Start, Length: r.Len(), Body: src}
	if r.Len()%2 == 0 {
		c.Length = storage.Unknown
	}
	err := s.Write(f.ctx, up, c, func(p storage.Extent) storage.Upload {
		defer f.report(up.ID, ranges.NewSet(p.Range))
		return stored(p)
	})
	rep.end()
	if err != nil {
		f.Errorf("write %v: %v", r, err)
		return
	}
	if reported := f.report(up.ID, ranges.Set{}); !reported.Contains(r) {
		f.Errorf("write %v: no write has reported %v", r, reported.Missing(r))
	}
	if n, err := src.Read(make([]byte, 1)); n != 0 || err == nil {
		f.Errorf("write %v: the source was not read to its end", r)
	}
	now, err := s.Load(f.ctx, up.ID)
	if err != nil {
		f.Errorf("load after the write of %v: %v", r, err)
		return
	}
	for _, reported := range append(rep.soFar().Ranges(), r) {
		if !now.Has(reported) {
			f.Errorf("after the write of %v only %v is there, not %v", r, now.Received, reported)
		}
	}
}

// chunk is a chunk of unknown length.
func chunk(offset int64, src io.Reader) storage.Chunk {
	return storage.Chunk{Offset: offset, Length: storage.Unknown, Body: src}
}

// report records that ranges were reported, and returns all that were.
func (f *fixture) report(id string, got ranges.Set) ranges.Set {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reported[id] == nil {
		f.reported[id] = new(ranges.Set)
	}
	f.reported[id].AddSet(got)
	return f.reported[id].Clone()
}

// reportLoaded records what can be loaded: a write that was killed may have stored
// more than it came to report.
func (f *fixture) reportLoaded(s storage.Store, id string) {
	up, err := s.Load(f.ctx, id)
	switch {
	case err != nil:
		f.Errorf("load before a write: %v", err)
	case up.Finished:
		f.report(id, ranges.NewSet(ranges.Of(0, up.Size)))
	default:
		f.report(id, up.Received)
	}
}

// putAll writes all of data, chunk by chunk in a shuffled order.
func (f *fixture) putAll(up storage.Upload, data []byte) {
	f.Helper()
	size := int64(len(data))
	chunks := Chunks(size, size/5+1)
	rand.Shuffle(len(chunks), func(i, j int) { chunks[i], chunks[j] = chunks[j], chunks[i] })
	for _, r := range chunks {
		f.put(up, data, r)
	}
}

func (f *fixture) setSize(id string, size int64) {
	f.Helper()
	if err := f.store.SetSize(f.ctx, id, size); err != nil {
		f.Fatalf("set the size to %d: %v", size, err)
	}
	f.step()
	if got := f.load(id).Size; got != size {
		f.Fatalf("declared %d, loaded %d", size, got)
	}
}

// finish finishes the upload, and checks that its file is data.
func (f *fixture) finish(id string, data []byte) storage.Upload {
	f.Helper()
	up := f.load(id)
	if !up.Finished && !up.Complete() {
		f.Fatalf("not complete: %v of %d bytes", up.Received, up.Size)
	}
	done, err := f.store.Finish(f.ctx, up)
	if err != nil {
		f.Fatalf("finish: %v", err)
	}
	f.wantChecksum(done, data)
	f.step()
	now := f.wantFile(id, data)
	f.wantChecksum(now, data)
	return now
}

// finishOnly is Finish where what it returns does not matter.
func (f *fixture) finishOnly(s storage.Store, up storage.Upload) error {
	_, err := s.Finish(f.ctx, up)
	return err
}

// wantChecksum checks that the checksum of the file is known, and is that of data.
func (f *fixture) wantChecksum(up storage.Upload, data []byte) {
	f.Helper()
	if up.CRC32C == nil || *up.CRC32C != crc32c.Of(data) {
		f.Errorf("the checksum is %v, want %v", up.CRC32C, crc32c.Of(data))
	}
}

func (f *fixture) delete(id string) {
	f.Helper()
	if err := f.store.Delete(f.ctx, id); err != nil {
		f.Fatalf("delete: %v", err)
	}
	f.step()
}

// wantFile checks that the upload is finished and its file is data.
func (f *fixture) wantFile(id string, data []byte) storage.Upload {
	f.Helper()
	up := f.load(id)
	if !up.Finished || up.Size != int64(len(data)) {
		f.Fatalf("finished %v, %d bytes; want a file of %d", up.Finished, up.Size, len(data))
	}
	f.wantRead(up, 0, data)
	if up.CRC32C != nil {
		f.wantChecksum(up, data)
	}
	return up
}

func (f *fixture) wantRead(up storage.Upload, offset int64, data []byte) {
	f.Helper()
	file, err := f.store.Open(f.ctx, up, offset)
	if err != nil {
		f.Fatalf("open at %d: %v", offset, err)
	}
	if err := errors.Join(Same(file, data[offset:]), file.Close()); err != nil {
		f.Fatalf("read from %d: %v", offset, err)
	}
}

// wantReceived checks that all of r has been received.
func (f *fixture) wantReceived(id string, r ranges.Range) {
	f.Helper()
	if up := f.load(id); !up.Has(r) {
		f.Errorf("%v was reported, and is not in %v", r, up.Received)
	}
}

// wantGone checks that nothing brings the upload back.
func (f *fixture) wantGone(up storage.Upload) {
	f.Helper()
	f.wantMarkedGone(up)
	f.wantNoFile(up)
}

// wantGoneAfterRace is wantGone for an upload that was deleted while something else
// was done to it: what that left behind need not be gone before the next Clean.
func (f *fixture) wantGoneAfterRace(up storage.Upload) {
	f.Helper()
	f.wantMarkedGone(up)
	if c, ok := f.store.(storage.Cleaner); ok {
		if err := c.Clean(f.ctx, time.Now().Add(time.Hour)); err != nil {
			f.Errorf("clean: %v", err)
		}
	}
	f.wantNoFile(up)
}

func (f *fixture) wantMarkedGone(up storage.Upload) {
	f.Helper()
	if _, err := f.store.Load(f.ctx, up.ID); !errors.Is(err, storage.ErrGone) {
		f.Errorf("load after delete: %v, want ErrGone", err)
	}
	if err := f.store.Create(f.ctx, up.Record); !errors.Is(err, storage.ErrGone) {
		f.Errorf("create after delete: %v, want ErrGone", err)
	}
}

func (f *fixture) wantNoFile(up storage.Upload) {
	f.Helper()
	up.Finished = true
	if file, err := f.store.Open(f.ctx, up, 0); err == nil {
		_ = file.Close()
		f.Error("the file of a deleted upload can be opened")
	}
}

// ids are the ids that List yields.
func (f *fixture) ids() map[string]bool {
	f.Helper()
	ids := map[string]bool{}
	for id, err := range f.store.List(f.ctx) {
		if err != nil {
			f.Fatalf("list: %v", err)
		}
		ids[id] = true
	}
	return ids
}

// together runs n calls at the same time and returns their errors.
func together(n int, call func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// mixed reports whether each byte of got is one that a or b has in its place.
func mixed(got, a, b []byte) bool {
	if bytes.Equal(got, a) || bytes.Equal(got, b) {
		return true
	}
	if len(got) != len(a) || len(got) != len(b) {
		return false
	}
	for i := range got {
		if got[i] != a[i] && got[i] != b[i] {
			return false
		}
	}
	return true
}
