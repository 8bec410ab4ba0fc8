package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// File reads a finished upload. It is an io.ReadSeeker that opens the stored file only
// on Read, so that seeking costs nothing.
type File struct {
	ctx    context.Context
	store  Store
	up     Upload
	offset int64
	open   io.ReadCloser // reads from offset, nil until needed
}

var _ io.ReadSeekCloser = (*File)(nil)

// Open opens the file of a finished upload that Get has returned. It returns
// ErrIncomplete if the upload is not finished. Close the file after use.
func (u *Uploads) Open(ctx context.Context, up Upload) (*File, error) {
	if !up.Finished {
		return nil, ErrIncomplete
	}
	return &File{ctx: ctx, store: u.store, up: up}, nil
}

// Link returns a URL at which the file of a finished upload can be fetched for a while,
// "" if the store offers none. It returns ErrGone if the file is missing.
func (u *Uploads) Link(ctx context.Context, up Upload) (string, error) {
	if up.FileMissing {
		return "", errFileMissing
	}
	l, ok := u.store.(Linker)
	if !ok || !up.Finished {
		return "", nil
	}
	return l.Link(ctx, up)
}

// Read implements io.Reader.
func (f *File) Read(p []byte) (int, error) {
	if f.offset >= f.up.Size {
		return 0, io.EOF
	}
	if f.up.FileMissing {
		return 0, errFileMissing
	}
	if f.open == nil {
		r, err := f.store.Open(f.ctx, f.up, f.offset)
		if err != nil {
			return 0, err
		}
		f.open = r
	}
	n, err := f.open.Read(p)
	f.offset += int64(n)
	if err == io.EOF && f.offset < f.up.Size {
		err = fmt.Errorf("read %s: %w: the file ends at %d of %d bytes", f.up.ID, ErrUnavailable, f.offset, f.up.Size)
	}
	return n, err
}

// Seek implements io.Seeker.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		offset += f.up.Size
	}
	if offset < 0 {
		return f.offset, errors.New("seek before the start of the file")
	}
	if offset == f.offset {
		return offset, nil
	}
	err := f.Close()
	f.offset = offset
	return offset, err
}

// Close implements io.Closer.
func (f *File) Close() error {
	if f.open == nil {
		return nil
	}
	err := f.open.Close()
	f.open = nil
	return err
}
