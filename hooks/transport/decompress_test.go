package transport

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
)

func compressed(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.Bytes()
}

func TestARequestIsDecompressed(t *testing.T) {
	whole := compressed(strings.Repeat("text", 10_000))
	corrupt := bytes.Clone(whole)
	corrupt[len(corrupt)-6]++ // of its checksum
	lost := errors.New("connection reset")
	for name, c := range map[string]struct {
		body io.Reader
		want error
	}{
		"whole":          {bytes.NewReader(whole), nil},
		"byte by byte":   {iotest.OneByteReader(bytes.NewReader(whole)), nil},
		"too short":      {bytes.NewReader(whole[:len(whole)/2]), storage.ErrBadRequest},
		"broken off":     {io.MultiReader(bytes.NewReader(whole[:40]), iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF},
		"reset":          {io.MultiReader(bytes.NewReader(whole[:40]), iotest.ErrReader(lost)), lost},
		"not compressed": {strings.NewReader("plain text, not compressed"), storage.ErrBadRequest},
		"corrupt":        {bytes.NewReader(corrupt), storage.ErrBadRequest},
	} {
		r := httptest.NewRequest("PUT", "/", c.body)
		r.Header.Set("Content-Encoding", "gzip")
		body := NewBody(httptest.NewRecorder(), r, time.Minute, nil, nil)
		if err := body.Decompress(r); err != nil || r.ContentLength != -1 || body.Length() != -1 {
			t.Fatalf("%s: %v, length %d", name, err, r.ContentLength)
		}
		text, err := io.ReadAll(body)
		if !errors.Is(err, c.want) || err == nil && len(text) != 40_000 {
			t.Errorf("%s: %d bytes, %v, want %v", name, len(text), err, c.want)
		}
	}
	r := httptest.NewRequest("PUT", "/", nil)
	r.Header.Set("Content-Encoding", "br")
	if err := NewBody(httptest.NewRecorder(), r, time.Minute, nil, nil).Decompress(r); !errors.Is(err, problem.ErrMediaType) {
		t.Errorf("br: %v", err)
	}
}
