package instrument_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/instrument"
)

// endless is a body of n bytes that costs nothing to read.
type endless struct{ n int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n := int(min(e.n, int64(len(p))))
	e.n -= int64(n)
	return n, nil
}

// sink is a store that discards what it is given, and has one upload.
type sink struct{ storage.Store }

var block = make([]byte, 64<<10)

func (sink) Load(_ context.Context, id string) (storage.Upload, error) {
	return storage.Upload{Record: storage.Record{ID: id, Size: math.MaxInt64}}, nil
}

func (sink) Write(_ context.Context, _ storage.Upload, c storage.Chunk, stored func(storage.Extent) storage.Upload) error {
	n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, c.Body, bytes.Clone(block))
	p := storage.Extent{}
	p.Start, p.End = c.Offset, c.Offset+n
	stored(p)
	return nil
}

const mib = 1 << 20

// writer returns a function that writes 1 MiB through the core, over a store with or without
// metrics.
func writer(s storage.Store, x storage.Cache) func() {
	u := storage.New(s, new(storage.MemoryLocker), x, storage.Options{Log: slog.New(slog.DiscardHandler)})
	var offset int64
	return func() {
		if _, err := u.Write(context.Background(), "it", storage.Chunk{Offset: offset, Body: &endless{mib}}); err != nil {
			panic(err)
		}
		offset += mib
	}
}

// To measure a write of a mebibyte costs so many allocations, however many reads it
// takes: some of the span that there is none of, and some of the closures.
const mostAllocations = 16

func TestWriteInstrumentationAllocatesLittle(t *testing.T) {
	m := instrument.New("test")
	plain := testing.AllocsPerRun(200, writer(sink{}, new(storage.MemoryCache)))
	measured := testing.AllocsPerRun(200, writer(m.Store(sink{}), m.Cache(new(storage.MemoryCache))))
	t.Logf("a write of 1 MiB: %v allocations, measured %v", plain, measured)
	if measured > plain+mostAllocations {
		t.Errorf("a write of 1 MiB makes %v allocations, %v with metrics: at most %d more are allowed", plain, measured, mostAllocations)
	}
	if total(t, m, "holdfast_store_operations_total", "write") < 200 {
		t.Error("nothing was measured")
	}
}

func BenchmarkWrite1MiB(b *testing.B) {
	m := instrument.New("test")
	for name, write := range map[string]func(){
		"plain":    writer(sink{}, new(storage.MemoryCache)),
		"measured": writer(m.Store(sink{}), m.Cache(new(storage.MemoryCache))),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(mib)
			b.ReportAllocs()
			for b.Loop() {
				write()
			}
		})
	}
}
