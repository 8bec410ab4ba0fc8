package storagetest

import (
	"math/rand/v2"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func checksumCases() []storeCase {
	return []storeCase{
		{"the checksum of a file is known, in whatever order its bytes came", checksumOfAnyOrder},
		{"the checksum of a file whose size was declared late is that of the file", checksumOfLateSize},
		{"the checksum of a complete upload is known before it is finished, or not at all", checksumBeforeFinish},
		{"the record of a finished upload has the digest of its file", digestIsKept},
	}
}

// checksumOfAnyOrder sends chunks in any order, some twice, some over others.
func checksumOfAnyOrder(f *fixture) {
	data := Content(3, f.size)
	for _, delivered := range []bool{false, true} {
		up := f.create(f.size)
		chunks := Chunks(f.size, f.size/6+1)
		for _, r := range Chunks(f.size, f.size/4+1) {
			chunks = append(chunks, r, r)
		}
		rand.Shuffle(len(chunks), func(i, j int) { chunks[i], chunks[j] = chunks[j], chunks[i] })
		for _, r := range chunks {
			f.put(up, data, r)
		}
		f.finish(up.ID, data)
		if delivered {
			f.markDelivered(up.ID)
		}
		f.put(up, Content(4, f.size), ranges.Of(f.size/3, f.size/3)) // too late
		f.wantChecksum(f.load(up.ID), data)
		again, err := f.store.Finish(f.ctx, up) // by a caller that does not know of it
		if err == nil {
			f.wantChecksum(again, data)
		}
	}
}

func checksumOfLateSize(f *fixture) {
	data := Content(3, f.size)
	for _, size := range []int64{0, 1, f.size / 2, f.size} {
		up := f.create(storage.Unknown)
		f.put(up, data, ranges.Of(size/2, size-size/2))
		f.put(up, data, ranges.Of(0, size/2))
		f.setSize(up.ID, size)
		f.finish(up.ID, data[:size])
	}
}

func digestIsKept(f *fixture) {
	data := Content(3, f.size)
	rec := storage.Record{ID: storage.NewID(), Size: f.size, Digest: &storage.Digest{SHA256: []byte("the one of the file")}}
	rec.Digest.CRC32C = rec.Digest.CRC32C.Append(data)
	up := f.createAs(rec)
	f.putAll(up, data)
	if now := f.load(up.ID); !now.Finished && now.SHA256() != nil {
		f.Error("the digest of a file is known before there is one")
	}
	f.finish(up.ID, data)
	f.markDelivered(up.ID)
	if now := f.load(up.ID); string(now.SHA256()) != "the one of the file" {
		f.Errorf("the digest of the file is %q", now.SHA256())
	}
	rec.ID, rec.Key, rec.Digest = storage.NewID(), "", &storage.Digest{SHA256: []byte("another one")}
	other := f.createAs(rec)
	f.putAll(other, data)
	f.finish(other.ID, data)
	if now := f.load(other.ID); now.SHA256() != nil {
		f.Errorf("a file of other bytes has the digest %q", now.SHA256())
	}
}

// checksumBeforeFinish checks storage.Summer on chunks in order, and on overlapping ones. A
// store may forget checksums when the process ends.
func checksumBeforeFinish(f *fixture) {
	data := Content(3, f.size)
	sum := crc32c.Of(data)
	for _, length := range []int64{f.size, f.size/3 + 1} {
		up := f.create(f.size)
		for _, r := range Chunks(f.size, length) {
			f.put(up, data, r)
		}
		if got := f.sum(up.ID); got == nil && !f.killing || got != nil && *got != sum {
			f.Errorf("chunks of %d bytes in order: %v, want %s", length, got, sum)
		}
		f.finish(up.ID, data)
	}
	up := f.create(f.size)
	for _, r := range append(Chunks(f.size, f.size/3+1), Chunks(f.size, f.size/5+1)...) {
		f.put(up, data, r)
	}
	if got := f.sum(up.ID); got != nil && *got != sum {
		f.Errorf("overlapping chunks: %v, want %s", got, sum)
	}
}

func (f *fixture) sum(id string) *crc32c.Sum {
	return f.store.(storage.Summer).Sum(f.ctx, f.load(id))
}
