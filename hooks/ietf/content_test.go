package ietf

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// A file that is sent again is compared with what is known of it before another byte is
// stored.
func TestAnotherFileIsFoundWhereTheKnownBytesEnd(t *testing.T) {
	first := []byte("hello, world")
	for name, c := range map[string]struct {
		again string
		want  error
	}{
		"the same": {"hello, world, again", nil}, "another": {"hallo, world, again", errDiffers}, "a shorter one": {"hel", nil},
	} {
		for _, step := range []int{1, 5, 100} {
			f := &file{}
			if err := f.add(first, 0); err != nil {
				t.Fatal(err)
			}
			f.again, f.whole = 0, true
			var err error
			for at := 0; at < len(c.again) && err == nil; at += step {
				err = f.add([]byte(c.again[at:min(at+step, len(c.again))]), int64(at))
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%s by %d: %v, want %v", name, step, err, c.want)
			}
			want := first
			if len(c.again) > len(first) {
				want = []byte(c.again)
			}
			if err == nil && (f.length != int64(len(want)) || f.sum != crc32c.Of(want)) {
				t.Errorf("%s by %d: %d bytes are known", name, step, f.length)
			}
		}
	}
}

// ending is a content that ends with an error in place of io.EOF.
type ending struct {
	io.Reader
	end error
}

func (ending) Length() int64 { return -1 }

func (e ending) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err == io.EOF {
		err = e.end
	}
	return n, err
}

func TestTheLastByteIsWithheldUntilTheEndIsRight(t *testing.T) {
	text := []byte("hello, world")
	for name, reader := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "by bytes": iotest.OneByteReader, "by halves": iotest.HalfReader, "with the error": iotest.DataErrReader,
	} {
		got, err := io.ReadAll(&withholding{content: ending{reader(bytes.NewReader(text)), io.EOF}})
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		got, err = io.ReadAll(&withholding{content: ending{reader(bytes.NewReader(text)), errRejected}})
		if !errors.Is(err, errRejected) || !bytes.Equal(got, text[:len(text)-1]) {
			t.Errorf("%s, rejected: %q, %v", name, got, err)
		}
	}
	if got, err := io.ReadAll(&withholding{content: ending{bytes.NewReader(nil), io.EOF}}); err != nil || len(got) > 0 {
		t.Errorf("nothing: %q, %v", got, err)
	}
}
