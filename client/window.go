package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// window yields a part of a Source from an offset that only advances.
type window interface {
	// from returns up to n bytes from offset on, and whether they are the last ones.
	from(ctx context.Context, offset, n int64) (body io.ReaderAt, length int64, last bool, err error)
	sum(ctx context.Context) (crc32c.Sum, error)
}

// fileWindow is the window of a file that can be read at any offset.
type fileWindow struct {
	at   io.ReaderAt
	size int64
}

func (w *fileWindow) from(_ context.Context, offset, n int64) (io.ReaderAt, int64, bool, error) {
	if offset > w.size {
		return nil, 0, false, &fatalError{fmt.Errorf("%w: it has received %d bytes, and the file has %d", ErrChecksum, offset, w.size)}
	}
	n = min(n, w.size-offset)
	return io.NewSectionReader(w.at, offset, n), n, offset+n == w.size, nil
}

func (w *fileWindow) sum(ctx context.Context) (crc32c.Sum, error) {
	return new(sums).whole(ctx, w.at, w.size)
}

// streamWindow is the window of a file that can be read once: it keeps the chunk that is
// being sent.
type streamWindow struct {
	in    io.Reader
	kept  []byte
	start int64 // of kept
	eof   bool
	total crc32c.Sum // of all that was read
}

func (w *streamWindow) from(ctx context.Context, offset, n int64) (io.ReaderAt, int64, bool, error) {
	if offset < w.start {
		return nil, 0, false, &fatalError{errors.New("the server lost bytes of the upload that can't be read again; start again")}
	}
	for !w.eof && offset >= w.start+int64(len(w.kept)) {
		if err := w.read(ctx, n); err != nil {
			return nil, 0, false, err
		}
	}
	skip := offset - w.start
	if skip > int64(len(w.kept)) {
		return nil, 0, false, &fatalError{fmt.Errorf("%w: it has received %d bytes, and the file has %d", ErrChecksum, offset, w.start+int64(len(w.kept)))}
	}
	rest := w.kept[skip:]
	return bytesAt(rest), int64(len(rest)), w.eof, nil
}

// read replaces the chunk by the next one of up to n bytes. It returns early when ctx is
// done, although the read goes on.
func (w *streamWindow) read(ctx context.Context, n int64) error {
	next, done := make([]byte, n), make(chan error, 1)
	var got int
	go func() {
		var err error
		got, err = io.ReadFull(w.in, next)
		done <- err
	}()
	var err error
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case err = <-done:
	}
	w.start += int64(len(w.kept))
	w.kept = next[:got]
	w.total = w.total.Append(w.kept)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		w.eof = true
	case err != nil:
		return &fatalError{fmt.Errorf("read the file: %w", err)}
	}
	return nil
}

func (w *streamWindow) sum(ctx context.Context) (crc32c.Sum, error) {
	for !w.eof {
		if err := w.read(ctx, 256<<10); err != nil {
			return 0, err
		}
	}
	return w.total, nil
}
