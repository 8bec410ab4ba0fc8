package client

import (
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"os"
	"path/filepath"
	"time"
)

// Source is the file to upload. Create it with File, ReaderAt or Reader; the fields may be
// changed before it is passed to Client.Upload. A Source is for one upload.
type Source struct {
	// Name is the name of the file, without directories. It may be empty.
	Name string
	// ContentType is the media type of the file. It may be empty.
	ContentType string
	// Metadata is sent along when the upload is created at a collection; the server may
	// pass it on to its app. Name and ContentType need not be in it.
	Metadata map[string]string
	// Identity says which file this is, as by its path, size and modification time. It is
	// the key, together with the URL, under which Options.URLs remembers the upload. An
	// empty one is not remembered.
	Identity string

	size    int64       // -1 if unknown
	at      io.ReaderAt // nil if it can be read only once
	in      io.Reader   // nil if there is at
	changed func() error
	close   func() error
}

// ReaderAt returns a Source of the first size bytes of r, which must not change during the
// upload. r is read by several goroutines at once, and twice: for the digests and for the
// bodies. It is the Source that uses the least memory.
func ReaderAt(r io.ReaderAt, size int64) *Source {
	return &Source{at: r, size: size}
}

// Reader returns a Source that is read once, to its end: a pipe, the body of a request. Its
// size may be unknown. Bytes that the server has not yet stored are kept in memory, at most
// the size of a chunk for each request in flight.
func Reader(r io.Reader) *Source {
	return &Source{in: r, size: -1}
}

// File opens a file as a Source, with the name, type and identity that it has. A file that
// can't be read at any offset, such as a pipe, is read once. The caller calls Close.
func File(path string) (*Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = &os.PathError{Op: "upload", Path: path, Err: errors.New("is a directory")}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	name := filepath.Base(path)
	src := &Source{Name: name, ContentType: mime.TypeByExtension(filepath.Ext(name)), close: f.Close}
	if !info.Mode().IsRegular() {
		src.in, src.size = f, -1
		return src, nil
	}
	src.at, src.size = f, info.Size()
	if full, err := filepath.Abs(path); err == nil {
		src.Identity = fmt.Sprintf("%s %d %s", full, info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano))
	}
	src.changed = func() error {
		now, err := f.Stat()
		if err == nil && (now.Size() != info.Size() || !now.ModTime().Equal(info.ModTime())) {
			err = fmt.Errorf("%w: %s", ErrChanged, path)
		}
		return err
	}
	return src, nil
}

// Size returns the size in bytes, -1 if it is unknown.
func (s *Source) Size() int64 { return s.size }

// Close closes the file that File has opened.
func (s *Source) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// check returns an error if the Source can't be read.
func (s *Source) check() error {
	switch {
	case s.at == nil && s.in == nil:
		return errors.New("client: the Source has nothing to read; use File, ReaderAt or Reader")
	case s.at != nil && (s.size < 0 || s.size == math.MaxInt64):
		return fmt.Errorf("client: the Source has an invalid size of %d bytes", s.size)
	}
	return nil
}

// stillSame returns ErrChanged if the file has changed since it was opened.
func (s *Source) stillSame() error {
	if s.changed == nil {
		return nil
	}
	return s.changed()
}
