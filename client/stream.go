package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// streamFeed is the feed of a file that can be read once. Another goroutine reads one chunk
// ahead, so that a slow Source does not delay what else there is to do.
type streamFeed struct {
	in   io.Reader
	size int64 // -1 until the end of the file was read

	reading chan struct{} // closed once a chunk was read; nil while none is being read
	read    []byte        // by the goroutine
	readErr error         // likewise

	queue    []chunk    // to be sent
	underWay []chunk    // being sent
	has      ranges.Set // on the server

	end   int64      // of what was read
	total crc32c.Sum // of what was read
	err   error      // of reading
}

var _ feed = (*streamFeed)(nil)

func (f *streamFeed) ready() <-chan struct{} { return f.reading }
func (f *streamFeed) bytes() int64           { return f.has.Bytes() }

// available begins to read the next chunk unless there is one.
func (f *streamFeed) available(size int64) bool {
	for len(f.queue) == 0 && f.err == nil && f.size < 0 {
		if f.reading == nil {
			f.startReading(size)
		}
		select {
		case <-f.reading:
			f.reading = nil
			f.take(f.read, f.readErr)
		default:
			return false
		}
	}
	return len(f.queue) > 0 || f.err != nil
}

func (f *streamFeed) startReading(size int64) {
	done := make(chan struct{})
	f.reading = done
	go func() {
		defer close(done)
		f.read = make([]byte, size)
		n, err := io.ReadFull(f.in, f.read)
		f.read, f.readErr = f.read[:n], err
	}()
}

// take adds what was read to the queue, unless the server has it.
func (f *streamFeed) take(b []byte, err error) {
	r := ranges.Of(f.end, int64(len(b)))
	f.end = r.End
	sum := crc32c.Of(b)
	f.total = f.total.Join(sum, r.Len())
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		f.size = f.end
	case err != nil:
		f.err = &fatalError{fmt.Errorf("read the file: %w", err)}
	}
	if !r.Empty() && !f.has.Contains(r) {
		f.queue = append(f.queue, chunk{Range: r, body: bytesAt(b), sum: &sum})
	}
}

func (f *streamFeed) next(int64) (chunk, error) {
	if f.err != nil {
		return chunk{}, f.err
	}
	c := f.queue[0]
	c.total = f.size
	f.queue = f.queue[1:]
	f.underWay = append(f.underWay, c)
	return c, nil
}

func (f *streamFeed) landed(c chunk) { f.underWay = without(f.underWay, c) }

func without(chunks []chunk, c chunk) []chunk {
	for i, other := range chunks {
		if other.Range == c.Range {
			return append(chunks[:i:i], chunks[i+1:]...)
		}
	}
	return chunks
}

func (f *streamFeed) stored(c chunk) {
	f.landed(c)
	f.has.Add(c.Range)
}

func (f *streamFeed) failed(c chunk) {
	f.landed(c)
	f.queue = append([]chunk{c}, f.queue...)
}

// lacks returns an error if the server lacks bytes that can't be read again.
func (f *streamFeed) lacks(received ranges.Set) error {
	f.has = received.Clone()
	known := received.Clone()
	for _, c := range append(append([]chunk{}, f.queue...), f.underWay...) {
		known.Add(c.Range)
		if f.has.Contains(c.Range) {
			f.queue = without(f.queue, c)
		}
	}
	if !known.Contains(ranges.Of(0, f.end)) {
		return &fatalError{errors.New("the server lost bytes of the upload that can't be read again; start again")}
	}
	return nil
}

func (f *streamFeed) complete() (int64, bool) {
	return f.size, f.size >= 0 && len(f.queue)+len(f.underWay) == 0 && f.has.Contains(ranges.Of(0, f.size))
}

// sum reads what is left of the file: the server had all of it before.
func (f *streamFeed) sum(ctx context.Context) (crc32c.Sum, error) {
	for f.size < 0 && f.err == nil {
		if f.reading == nil {
			f.startReading(256 << 10)
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-f.reading:
			f.reading = nil
			f.take(f.read, f.readErr)
		}
	}
	return f.total, f.err
}
