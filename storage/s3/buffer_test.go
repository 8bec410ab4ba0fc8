package s3

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

func randomBytes(seed uint64, n int) []byte {
	rnd := rand.New(rand.NewPCG(seed, seed))
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(rnd.Uint32())
	}
	return out
}

func TestBufferKeepsItsContentInMemoryAndInAFile(t *testing.T) {
	for _, blocks := range []int64{0, 1, 2, 100} {
		for _, size := range []int{0, 1, blockSize - 1, blockSize, blockSize + 1, 3*blockSize + 5} {
			want := randomBytes(1, size)
			b := &buffer{budget: newMemoryPool(blocks * blockSize)}
			if ended, err := b.fill(bytes.NewReader(want), int64(size)+1); err != nil || !ended {
				t.Fatalf("fill: %v %v", ended, err)
			}
			if b.size != int64(size) || b.sum != crc32c.Of(want) {
				t.Fatalf("%d bytes in %d blocks: size %d, checksum %v", size, blocks, b.size, b.sum)
			}
			var copied bytes.Buffer
			if _, err := b.reader().WriteTo(&copied); err != nil || !bytes.Equal(copied.Bytes(), want) {
				t.Errorf("%d bytes in %d blocks: WriteTo gave %d, %v", size, blocks, copied.Len(), err)
			}
			for _, at := range []int64{0, 1, int64(size / 2), int64(size)} {
				r := b.reader()
				if _, err := r.Seek(at, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(struct{ io.Reader }{r})
				if at <= int64(size) && (err != nil || !bytes.Equal(got, want[at:])) {
					t.Errorf("%d bytes in %d blocks from %d: %d, %v", size, blocks, at, len(got), err)
				}
			}
			b.release()
		}
	}
}

func TestMemoryPoolLimitsAndReusesMemory(t *testing.T) {
	const bound = 4
	shared := newMemoryPool(bound * blockSize)
	var all []*buffer
	for i := range 10 {
		b := &buffer{budget: shared}
		if _, err := b.fill(bytes.NewReader(randomBytes(uint64(i), blockSize)), blockSize); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	inMemory := 0
	for _, b := range all {
		inMemory += len(b.blocks)
		b.release()
	}
	if inMemory != bound || len(shared.free) != bound {
		t.Errorf("%d blocks in memory, %d given back, want %d", inMemory, len(shared.free), bound)
	}
}

// A source may end at the end of a block, and return EOF only on the next read. Later
// bytes belong into the block that was allocated for that read.
func TestBufferContinuesAfterASourceEndedAtTheEndOfABlock(t *testing.T) {
	b := &buffer{budget: newMemoryPool(8 * blockSize)}
	defer b.release()
	data := randomBytes(1, 3*blockSize)
	for _, end := range []int{blockSize, 2 * blockSize, 3 * blockSize} {
		if _, err := b.fill(bytes.NewReader(data[b.size:end]), int64(len(data))); err != nil {
			t.Fatal(err)
		}
	}
	got, err := io.ReadAll(b.reader())
	if err != nil || !bytes.Equal(got, data) || b.sum != crc32c.Of(data) {
		t.Errorf("%d bytes, equal %v, %v", len(got), bytes.Equal(got, data), err)
	}
}
